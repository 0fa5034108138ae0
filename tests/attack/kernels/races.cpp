// Runs whole generations of the kernels with the threads of each launch side by side, for ThreadSanitizer to watch:
// what two threads of one launch touch, and one of them writes, is a race on a GPU too. The network is a hash.
//
// g++ -fsanitize=thread -I attack/kernels -x c++ races.cpp; prints how many candidates were new, of how many.
#include <math.h>

#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#define __global__
#define __device__

struct Index {
    unsigned int x;
};
inline thread_local Index threadIdx, blockIdx, blockDim;

inline int atomicAdd(int *at, int value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }

inline int atomicMin(int *at, int value) {
    int before = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (value < before)
        if (__atomic_compare_exchange_n(at, &before, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) break;
    return before;
}

inline unsigned long long atomicCAS(unsigned long long *at, unsigned long long expected, unsigned long long value) {
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}

#include "draw.cu"
#include "propose.cu"
#include "remember.cu"
#include "select.cu"

const int HANDS = 6, BLOCK = 32;

// So many threads of a kernel, dealt out to a few hands that run at once.
template <typename Kernel>
void launch(int threads, Kernel kernel) {
    std::vector<std::thread> hands;
    for (int hand = 0; hand < HANDS; ++hand)
        hands.emplace_back([=] {
            blockDim.x = BLOCK;
            for (int at = hand; at < (threads + BLOCK - 1) / BLOCK * BLOCK; at += HANDS) {
                blockIdx.x = at / BLOCK, threadIdx.x = at % BLOCK;
                kernel();
            }
        });
    for (std::thread &hand : hands) hand.join();
}

struct Search {
    Sizes sizes;
    int rows, slots, last, places, batches;
    std::vector<float> members, children, fitness, children_fitness, known, probabilities;
    std::vector<byte> images, colors, batch, won, is_new;
    std::vector<offset> seen;
    std::vector<int> first, slot_of, new_of, new_in, shown, generations, winners, image_of, class_of, held, drawn;
    std::vector<word> keys;

    Search(Sizes sizes, int rows, int slots, int last)
        : sizes(sizes), rows(rows), slots(slots), last(last), places(sizes.lanes * sizes.size),
          batches((places + rows - 1) / rows), members(places * sizes.pixels * NUMBERS), children(members),
          fitness(places), children_fitness(places), known(sizes.lanes * slots), probabilities(rows * 2),
          images(3 * sizes.height * sizes.width * 3), colors(65536), batch(rows * sizes.height * sizes.width * 3),
          won(places), is_new(places), seen(sizes.lanes * slots), first(sizes.lanes * slots), slot_of(places),
          new_of(sizes.lanes), new_in(places / SHARE + 1), shown(batches * rows),
          generations(sizes.lanes), winners(sizes.lanes, sizes.size),
          image_of(sizes.lanes), class_of(sizes.lanes), held(rows, -1), drawn(rows * sizes.pixels),
          keys(2 * sizes.lanes) {
        std::mt19937 random(1);
        for (byte &level : images) level = (byte)random();
        for (byte &level : colors) level = (byte)(random() % 3 * 100);  // few, so that candidates come again
        for (word &key : keys) key = random();
        for (int lane = 0; lane < sizes.lanes; ++lane) image_of[lane] = lane % 3;
    }

    // What no kernel does: the network, and now and then a success.
    void judge_as_the_network(int generation) {
        int bytes = sizes.height * sizes.width * 3;
        for (int row = 0; row < rows; ++row) {
            word hash = 0;
            for (int at = 0; at < bytes; ++at) hash = hash * 31 + batch[row * bytes + at];
            probabilities[2 * row] = (float)(hash % 1000) / 2500.0f;
            probabilities[2 * row + 1] = generation > 9 && hash % 97 == 0 ? 1.0f : 0.0f;
        }
    }

    void show(int *rows_shown, int generation) {
        int pieces = (3 * sizes.height * sizes.width + CHUNK - 1) / CHUNK;
        launch(rows * pieces, [=, this] {
            place_images(batch.data(), images.data(), image_of.data(), held.data(), rows_shown, generations.data(),
                         rows, sizes);
        });
        launch(rows, [=, this] {
            draw_candidates(batch.data(), held.data(), drawn.data(), images.data(), image_of.data(), children.data(),
                            rows_shown, generations.data(), rows, sizes);
        });
        judge_as_the_network(generation);
        launch(rows, [=, this] {
            judge_rows(children_fitness.data(), won.data(), winners.data(), probabilities.data(), rows_shown,
                       generations.data(), class_of.data(), 0, 2, rows, sizes);
        });
    }

    // A generation of every lane; how many of its candidates are new.
    int generation(int number) {
        launch(sizes.lanes * slots, [=, this] {
            if (slots) forget_candidates(seen.data(), first.data(), generations.data(), slots, sizes);
        });
        launch(places * sizes.pixels, [=, this] {
            propose_candidates(children.data(), members.data(), generations.data(), keys.data(), colors.data(), 0.5f,
                               sizes);
        });
        launch(places, [=, this] {
            find_candidates(seen.data(), first.data(), slot_of.data(), new_of.data(), new_in.data(), children.data(),
                            generations.data(), slots, sizes);
        });
        launch(batches * rows, [=, this] {
            mark_new(is_new.data(), new_of.data(), new_in.data(), shown.data(), first.data(), slot_of.data(),
                     generations.data(), slots, batches * rows, sizes);
        });
        launch(places, [=, this] { assign_rows(shown.data(), is_new.data(), new_in.data(), sizes); });
        int fresh = 0;
        for (int count : new_of) fresh += count;
        for (int begin = 0; begin < fresh; begin += rows) show(shown.data() + begin, number);
        launch(places, [=, this] {
            share_fitness(children_fitness.data(), won.data(), known.data(), first.data(), slot_of.data(),
                          is_new.data(), generations.data(), slots, sizes);
        });
        launch(places, [=, this] {
            select_children(members.data(), fitness.data(), children.data(), children_fitness.data(),
                            generations.data(), winners.data(), sizes);
        });
        launch(sizes.lanes, [=, this] { advance_lanes(generations.data(), winners.data(), last, sizes); });
        return fresh;
    }
};

int main() {
    int fresh = 0, proposed = 0;
    for (int pixels : {1, 3}) {
        Search search(Sizes{9, 40, pixels, 6, 5}, 37, pixels == 1 ? 2048 : 0, 14);
        for (int number = 0; number <= search.last; ++number) {
            if (number == 7) search.generations[1] = 0, search.keys[2] = 99;  // a lane takes another image
            for (int generation : search.generations) proposed += generation < 0 ? 0 : search.sizes.size;
            fresh += search.generation(number);
        }
    }
    printf("%d of %d\n", fresh, proposed);
}
