// Shows the network each candidate of a lane once: what is drawn as one that was seen before takes over its fitness.
// Reference: Memory in attack/memory.py. For candidates of one pixel; of several next to none come twice.
//
//   seen      uint64  (lanes, slots)  what was drawn: position * 2^24 + red * 2^16 + green * 2^8 + blue, or FREE
//   first     int32   (lanes, slots)  the first child drawn so: generation * size + candidate; NEVER in a free slot
//   known     float32 (lanes, slots)  its fitness
//   slot_of   int32   (lanes, size)   a child's slot, what is drawn alike has the same; -1: there was none left
//   is_new    uint8   (lanes, size)   1: the network has to be shown this child
//   new_of    int32   (lanes)         how many of the lane's children are new
//   new_in    int32   (chunks)        how many of SHARE children in a row, over all lanes, are new
//   shown     int32   (shows)         the places of all new children, lane by lane in their order, then -1
//
// slots is a power of two and more than a lane ever proposes, or 0: then nothing is remembered, and every child is new.
// Which slot a candidate has depends on the order of threads; nothing that is told by it does.
//
// forget_candidates: a thread a slot: frees those of lanes in generation 0, which begin with another image.
// find_candidates: a thread a child: finds its slot, or takes a free one; sets new_of and new_in to 0.
// mark_new: a thread a child, or an item of shown, whichever are more.
// assign_rows: a thread a child.
// share_fitness: a thread a child, when the new ones are judged. Again after a second look, which judges anew.
#include "table.cuh"

#define FREE 0xFFFFFFFFFFFFFFFFull
#define NEVER 0x7FFFFFFF
#define SHARE 256  // also in sources.py

// As draw.cu draws it.
__device__ inline offset drawn_as(const float *numbers, Sizes sizes) {
    offset row = (offset)level(numbers[0], sizes.height - 1), column = (offset)level(numbers[1], sizes.width - 1);
    offset drawn = row * sizes.width + column;
    for (int channel = 0; channel < 3; ++channel) drawn = drawn << 8 | (offset)level(numbers[2 + channel], 255);
    return drawn;
}

// The number of a child among all that its lane ever proposes.
__device__ inline int number_of(int generation, offset place, Sizes sizes) {
    return generation * sizes.size + (int)(place % sizes.size);
}

extern "C" __global__ void forget_candidates(offset *seen, int *first, const int *generations, int slots, Sizes sizes) {
    offset at = thread_index();
    if (at >= (offset)sizes.lanes * slots || generations[at / slots] != 0) return;
    seen[at] = FREE;
    first[at] = NEVER;
}

extern "C" __global__ void find_candidates(offset *seen, int *first, int *slot_of, int *new_of, int *new_in,
                                           const float *children, const int *generations, int slots, Sizes sizes) {
    offset place = thread_index();
    if (place >= places(sizes)) return;
    int lane = (int)(place / sizes.size);
    if (place % sizes.size == 0) new_of[lane] = 0;
    if (place % SHARE == 0) new_in[place / SHARE] = 0;
    if (slots == 0 || generations[lane] < 0) return;
    offset drawn = drawn_as(children + first_number(sizes, place), sizes), base = (offset)lane * slots;
    // multiplied by 2^64 / golden ratio, numbers near one another lie far apart in the bits from the 32nd on
    word slot = (word)(drawn * 0x9E3779B97F4A7C15ull >> 32) & (word)(slots - 1);
    slot_of[place] = -1;
    for (int tried = 0; tried < slots; ++tried, slot = (slot + 1) & (word)(slots - 1)) {
        offset before = atomicCAS(seen + base + slot, FREE, drawn);
        if (before != FREE && before != drawn) continue;
        slot_of[place] = (int)slot;
        atomicMin(first + base + slot, number_of(generations[lane], place, sizes));
        return;
    }
}

extern "C" __global__ void mark_new(byte *is_new, int *new_of, int *new_in, int *shown, const int *first,
                                    const int *slot_of, const int *generations, int slots, int shows, Sizes sizes) {
    offset thread = thread_index();
    if (thread < (offset)shows) shown[thread] = -1;
    if (thread >= places(sizes)) return;
    int lane = (int)(thread / sizes.size), generation = generations[lane];
    bool is = generation >= 0;
    if (is && slots > 0 && slot_of[thread] >= 0)
        is = first[(offset)lane * slots + slot_of[thread]] == number_of(generation, thread, sizes);
    is_new[thread] = is;
    if (!is) return;
    atomicAdd(new_of + lane, 1);
    atomicAdd(new_in + thread / SHARE, 1);
}

extern "C" __global__ void assign_rows(int *shown, const byte *is_new, const int *new_in, Sizes sizes) {
    offset place = thread_index();
    if (place >= places(sizes) || !is_new[place]) return;
    offset chunk = place / SHARE;
    int row = 0;
    for (offset before = 0; before < chunk; ++before) row += new_in[before];
    for (offset before = chunk * SHARE; before < place; ++before) row += is_new[before];
    shown[row] = (int)place;
}

extern "C" __global__ void share_fitness(float *children_fitness, byte *won, float *known, const int *first,
                                         const int *slot_of, const byte *is_new, const int *generations, int slots,
                                         Sizes sizes) {
    offset place = thread_index();
    if (place >= places(sizes) || slots == 0) return;
    int lane = (int)(place / sizes.size), generation = generations[lane];
    if (generation < 0 || slot_of[place] < 0) return;
    offset slot = (offset)lane * slots + slot_of[place];
    if (is_new[place]) {
        known[slot] = children_fitness[place];
        return;
    }
    int number = first[slot];
    bool just_now = number / sizes.size == generation;  // its known fitness is being written
    children_fitness[place] =
        just_now ? children_fitness[(offset)lane * sizes.size + number % sizes.size] : known[slot];
    won[place] = 0;
}
