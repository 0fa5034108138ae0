// The table that all kernels work on: the populations of several images side by side, one lane an image.
//
//   lane       0 .. lanes - 1    an image under attack
//   candidate  0 .. size - 1     of a lane's population
//   pixel      0 .. pixels - 1   of a candidate
//   number     0 .. 4            of a pixel: row, column, red, green, blue
//   place      0 .. lanes * size - 1, a candidate among all: lane * size + candidate
//
//   members, children    float32 (lanes, size, pixels, 5), number at (place * pixels + pixel) * 5 + number
//   fitness              float32 (lanes, size), at place
//   keys                 uint32  (lanes, 2)
//   generations          int32   (lanes): g >= 0 is under way; ~g, below 0, the lane stopped after generation g
//   winners              int32   (lanes): the lowest candidate that succeeded; size: none; -1: a probability was NaN
//   image_of, class_of   int32   (lanes): which of the images; the label, or the target of a targeted attack
//   batch                uint8   (rows, height, width, 3), what the network reads
//   place_of_row         int32   (rows): the candidate that a row shows, -1 for a row that shows none
//
// A generation: propose_candidates, find_candidates, mark_new, assign_rows; for each batch place_images,
// draw_candidates, the network, judge_rows; then share_fitness, select_children, advance_lanes. Every kernel leaves the
// lanes alone that have stopped. No thread reads what another of the same launch writes; what several write (winners,
// and in remember.cu seen, first, new_of, new_in) they write by atomics whose result knows no order.
// The types hold lanes * size up to 2^31 - 1 and generations up to 2^31 - 2.
#pragma once

typedef unsigned char byte;
typedef unsigned int word;
typedef unsigned long long offset;  // into arrays of more than 2^32 items

#define NUMBERS 5  // of a pixel

struct Sizes {
    int lanes, size, pixels, height, width;
};

__device__ inline offset thread_index() { return (offset)blockIdx.x * blockDim.x + threadIdx.x; }

__device__ inline offset places(Sizes sizes) { return (offset)sizes.lanes * sizes.size; }

__device__ inline offset first_number(Sizes sizes, offset place) { return place * sizes.pixels * NUMBERS; }

// The lane of the candidate that a row shows; -1 where there is nothing to do: no candidate, or a lane that stopped.
__device__ inline int lane_of_row(Sizes sizes, const int *place_of_row, const int *generations, int row) {
    int place = place_of_row[row];
    if (place < 0) return -1;
    int lane = place / sizes.size;
    return generations[lane] < 0 ? -1 : lane;
}

// A number as it is drawn: the floor, clipped to 0 .. highest; 0 for a NaN: nothing is ever written beside the image.
__device__ inline int level(float number, int highest) {
    return (int)fminf(fmaxf(floorf(number), 0.0f), (float)highest);
}
