// Judges what the network says of each row, lets children replace parents, and moves the lanes on.
// Reference: Untargeted and Targeted in attack/criteria.py, _evolve in attack/de.py.
//
// judge_rows: a thread a row; reads probabilities[row * classes .. + classes - 1], float32 (rows, classes), writes
//   children_fitness[place], won[place] (uint8: 1 where the goal is reached) and the lane's entry of winners.
//   class_of must lie below classes.
// select_children: a thread a candidate, thread = place; children_fitness[place] <= fitness[place] copies the child.
//   Generation 0 has no parents: every child is taken. A lane with a winner keeps its members, so that it can go on
//   where a second look at the winner fails.
// advance_lanes: a thread a lane; it stops where there is a winner or `last` was its generation, else goes on.
#include "table.cuh"

// The lowest index among the largest probabilities; -1 where one is NaN.
__device__ inline int label_of(const float *probabilities, int classes) {
    int label = 0;
    bool nan = false;
    for (int index = 0; index < classes; ++index) {
        nan = nan || probabilities[index] != probabilities[index];
        if (probabilities[index] > probabilities[label]) label = index;
    }
    return nan ? -1 : label;
}

extern "C" __global__ void judge_rows(float *children_fitness, byte *won, int *winners, const float *probabilities,
                                      const int *place_of_row, const int *generations, const int *class_of,
                                      int targeted, int classes, int rows, Sizes sizes) {
    offset row = thread_index();
    if (row >= (offset)rows) return;
    int lane = lane_of_row(sizes, place_of_row, generations, (int)row);
    if (lane < 0) return;
    int place = place_of_row[row], own = class_of[lane];
    const float *judged = probabilities + row * classes;
    int label = label_of(judged, classes);
    bool success = label >= 0 && (targeted ? label == own : label != own);
    children_fitness[place] = targeted ? -judged[own] : judged[own];
    won[place] = success;
    if (label < 0)
        atomicMin(winners + lane, -1);
    else if (success)
        atomicMin(winners + lane, place % sizes.size);
}

extern "C" __global__ void select_children(float *members, float *fitness, const float *children,
                                           const float *children_fitness, const int *generations,
                                           const int *winners, Sizes sizes) {
    offset place = thread_index();
    if (place >= places(sizes)) return;
    int lane = (int)(place / sizes.size), generation = generations[lane];
    if (generation < 0 || winners[lane] < sizes.size) return;
    if (generation > 0 && !(children_fitness[place] <= fitness[place])) return;
    fitness[place] = children_fitness[place];
    offset first = first_number(sizes, place), end = first_number(sizes, place + 1);
    for (offset at = first; at < end; ++at) members[at] = children[at];
}

extern "C" __global__ void advance_lanes(int *generations, const int *winners, int last, Sizes sizes) {
    offset lane = thread_index();
    if (lane >= (offset)sizes.lanes) return;
    int generation = generations[lane];
    if (generation < 0) return;
    bool stops = winners[lane] < sizes.size || generation >= last;
    generations[lane] = stops ? ~generation : generation + 1;
}
