// Compiles the kernels as C++ for the CPU, for tests: g++ -x c++ host.h, with the flags of sources.py. Never for nvcc.
//
// launch_NAME(grid, block, backwards, arguments) runs kernel NAME thread by thread; `arguments` holds a pointer to each
// of its arguments, as cuLaunchKernel takes them. `backwards` runs the last thread first: the outcome must be the same.
#include <math.h>

#include <utility>

#define __global__
#define __device__

struct Index {
    unsigned int x;
};
inline thread_local Index threadIdx, blockIdx, blockDim, gridDim;

inline int atomicMin(int *at, int value) {
    int before = *at;
    if (value < before) *at = value;
    return before;
}

inline int atomicAdd(int *at, int value) {
    int before = *at;
    *at += value;
    return before;
}

inline unsigned long long atomicCAS(unsigned long long *at, unsigned long long expected, unsigned long long value) {
    unsigned long long before = *at;
    if (before == expected) *at = value;
    return before;
}

template <typename... Parameters, size_t... I>
void call(void (*kernel)(Parameters...), void **arguments, std::index_sequence<I...>) {
    kernel(*static_cast<Parameters *>(arguments[I])...);
}

template <typename... Parameters>
void launch(void (*kernel)(Parameters...), unsigned int grid, unsigned int block, int backwards, void **arguments) {
    gridDim.x = grid, blockDim.x = block;
    for (unsigned long long step = 0, threads = (unsigned long long)grid * block; step < threads; ++step) {
        unsigned long long thread = backwards ? threads - 1 - step : step;
        blockIdx.x = (unsigned int)(thread / block), threadIdx.x = (unsigned int)(thread % block);
        call(kernel, arguments, std::index_sequence_for<Parameters...>{});
    }
}

#define LAUNCHER(kernel)                                                                                           \
    extern "C" void launch_##kernel(unsigned int grid, unsigned int block, int backwards, void **arguments) {     \
        launch(kernel, grid, block, backwards, arguments);                                                        \
    }

#include "draw.cu"
#include "propose.cu"
#include "remember.cu"
#include "select.cu"

LAUNCHER(propose_candidates)
LAUNCHER(forget_candidates)
LAUNCHER(find_candidates)
LAUNCHER(mark_new)
LAUNCHER(assign_rows)
LAUNCHER(place_images)
LAUNCHER(draw_candidates)
LAUNCHER(judge_rows)
LAUNCHER(share_fitness)
LAUNCHER(select_children)
LAUNCHER(advance_lanes)
