// Each running lane's next candidates: the first population in generation 0, children by rand/1 afterwards.
// Reference: first_population and parents in attack/randomness.py, _evolve in attack/de.py.
//
// propose_candidates: a thread a pixel of a candidate, so lanes * size * pixels of them.
//   thread = place * pixels + pixel,  place = lane * size + candidate
//   writes children[thread * 5 + number] for all five numbers
//   generation 0 reads words 5 * pixel .. 5 * pixel + 4 of (lane's key, candidate): word v mod 4 of block v div 4
//   later ones read the pixel's numbers of three members of the lane; the pixels of a candidate draw the same three
//
// size must be at least 4: with fewer no three parents differ from one another and from the child's own index.
// Compile without contraction, or a + factor * (b - c) is rounded once instead of twice.
#include "philox.cuh"
#include "table.cuh"

struct Parents {
    int first, second, third;
};

__device__ inline bool clash(Parents drawn, int own) {
    return drawn.first == drawn.second || drawn.first == drawn.third || drawn.second == drawn.third ||
           drawn.first == own || drawn.second == own || drawn.third == own;
}

__device__ inline Parents draw_parents(const word *key, int own, int generation, int size) {
    Parents drawn;
    word block = 0;
    do {  // all three again, until they are distinct
        Words words = philox4x32(Words{{block++, (word)own, (word)generation, 0}}, key[0], key[1]);
        drawn = Parents{below(size, words.at[0]), below(size, words.at[1]), below(size, words.at[2])};
    } while (clash(drawn, own));
    return drawn;
}

__device__ inline void mutate(float *child, const float *members, Parents drawn, int pixel, int pixels, float factor) {
    const float *a = members + ((offset)drawn.first * pixels + pixel) * NUMBERS;
    const float *b = members + ((offset)drawn.second * pixels + pixel) * NUMBERS;
    const float *c = members + ((offset)drawn.third * pixels + pixel) * NUMBERS;
    for (int number = 0; number < NUMBERS; ++number) child[number] = a[number] + factor * (b[number] - c[number]);
}

// Moves words[shift .. shift + 4] to the front, shift 0 to 3; indices known when compiling keep them in registers.
__device__ inline void shift_down(word *words, word shift) {
    for (int at = 0; at < 7; ++at) words[at] = shift & 1 ? words[at + 1] : words[at];
    for (int at = 0; at < 6; ++at) words[at] = shift & 2 ? words[at + 2] : words[at];
}

__device__ inline void draw_first(float *child, const word *key, int own, int pixel, const byte *colors, Sizes sizes) {
    word first = (word)pixel * NUMBERS, block = first / 4;  // the five words always lie in two blocks
    Words near = philox4x32(Words{{block, (word)own, 0, 0}}, key[0], key[1]);
    Words next = philox4x32(Words{{block + 1, (word)own, 0, 0}}, key[0], key[1]);
    word drawn[8] = {near.at[0], near.at[1], near.at[2], near.at[3], next.at[0], next.at[1], next.at[2], next.at[3]};
    shift_down(drawn, first % 4);
    child[0] = (float)below(sizes.height, drawn[0]);
    child[1] = (float)below(sizes.width, drawn[1]);
    for (int number = 2; number < NUMBERS; ++number) child[number] = (float)colors[drawn[number] >> 16];
}

// colors: uint8 (65536), attack/normal_colors.npy.
extern "C" __global__ void propose_candidates(float *children, const float *members, const int *generations,
                                              const word *keys, const byte *colors, float factor, Sizes sizes) {
    offset thread = thread_index();
    if (thread >= places(sizes) * sizes.pixels) return;
    offset place = thread / sizes.pixels;
    int pixel = (int)(thread % sizes.pixels), lane = (int)(place / sizes.size), own = (int)(place % sizes.size);
    int generation = generations[lane];
    if (generation < 0) return;
    float *child = children + thread * NUMBERS;
    const word *key = keys + 2 * (offset)lane;
    if (generation == 0) {
        draw_first(child, key, own, pixel, colors, sizes);
    } else {
        Parents drawn = draw_parents(key, own, generation, sizes.size);
        mutate(child, members + first_number(sizes, (offset)lane * sizes.size), drawn, pixel, sizes.pixels, factor);
    }
}
