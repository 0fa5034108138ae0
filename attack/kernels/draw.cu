// Draws candidates into the network's own input over copies of their images, touching changed pixels alone.
// Reference: Canvas in attack/canvas.py, drawn in attack/de.py.
//
// A row remembers the image that it holds (held, int32 (rows), -1 at first) and the positions last drawn on it (drawn,
// int32 (rows, pixels)). position = row of the image * width + column; its bytes lie at (image * area + position) * 3
// in images, uint8 (n, height, width, 3), and at (row * area + position) * 3 in batch, area = height * width.
//
// place_images: a thread a piece of a row, CHUNK bytes, so rows * ceil(3 * area / CHUNK) of them; thread = row * pieces +
//   piece. Copies the piece where the row is to show another image than it holds; leaves held to draw_candidates.
// draw_candidates: a thread a row, after place_images: restores what it had drawn unless the image is new, then draws
//   its candidate's pixels in their order, so that of equal positions the last is seen.
#include "table.cuh"

__device__ inline offset area(Sizes sizes) { return (offset)sizes.height * sizes.width; }

__device__ inline void copy_pixel(byte *batch, const byte *images, offset to, offset from) {
    for (int channel = 0; channel < 3; ++channel) batch[to * 3 + channel] = images[from * 3 + channel];
}

#define CHUNK 16  // bytes; also in sources.py

struct alignas(CHUNK) Chunk {
    word words[CHUNK / 4];
};

// In one load and one store where all pieces start on the boundaries that those ask for; then none is cut short either.
__device__ inline void copy_piece(byte *batch, const byte *images, offset to, offset from, offset left, bool aligned) {
    if (aligned)
        *(Chunk *)(batch + to) = *(const Chunk *)(images + from);
    else
        for (offset at = 0; at < CHUNK && at < left; ++at) batch[to + at] = images[from + at];
}

// A GPU divides 32 bits several times faster than 64.
__device__ inline offset quotient(offset number, word by) { return number >> 32 ? number / by : (word)number / by; }

extern "C" __global__ void place_images(byte *batch, const byte *images, const int *image_of, const int *held,
                                        const int *place_of_row, const int *generations, int rows, Sizes sizes) {
    offset thread = thread_index(), whole = 3 * area(sizes);
    word pieces = (word)((whole + CHUNK - 1) / CHUNK);
    if (thread >= (offset)rows * pieces) return;
    offset row = quotient(thread, pieces), at = (thread - row * pieces) * CHUNK;
    int lane = lane_of_row(sizes, place_of_row, generations, (int)row);
    if (lane < 0 || held[row] == image_of[lane]) return;
    bool aligned = ((offset)batch | (offset)images | whole) % CHUNK == 0;
    copy_piece(batch, images, row * whole + at, image_of[lane] * whole + at, whole - at, aligned);
}

extern "C" __global__ void draw_candidates(byte *batch, int *held, int *drawn, const byte *images, const int *image_of,
                                           const float *children, const int *place_of_row, const int *generations,
                                           int rows, Sizes sizes) {
    offset row = thread_index();
    if (row >= (offset)rows) return;
    int lane = lane_of_row(sizes, place_of_row, generations, (int)row);
    if (lane < 0) return;
    const float *numbers = children + first_number(sizes, place_of_row[row]);
    offset base = row * area(sizes), image = image_of[lane] * area(sizes);
    int *positions = drawn + row * sizes.pixels;
    bool same = held[row] == image_of[lane];
    for (int pixel = 0; same && pixel < sizes.pixels; ++pixel)
        copy_pixel(batch, images, base + positions[pixel], image + positions[pixel]);
    held[row] = image_of[lane];
    for (int pixel = 0; pixel < sizes.pixels; ++pixel, numbers += NUMBERS) {
        int position = level(numbers[0], sizes.height - 1) * sizes.width + level(numbers[1], sizes.width - 1);
        positions[pixel] = position;
        for (int channel = 0; channel < 3; ++channel)
            batch[(base + position) * 3 + channel] = (byte)level(numbers[2 + channel], 255);
    }
}
