// Philox4x32-10, as attack/philox.py has it: four random words as a pure function of a counter and a key.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Integers only.
// Counter (block, candidate, generation, 0); what each word means stands at the top of attack/randomness.py.
#pragma once

struct Words {
    unsigned int at[4];
};

__device__ inline unsigned int high_word(unsigned int a, unsigned int b) {
    return (unsigned int)(((unsigned long long)a * b) >> 32);
}

// An index in 0 .. bound - 1.
__device__ inline int below(int bound, unsigned int word) { return (int)high_word(word, (unsigned int)bound); }

__device__ inline Words philox4x32(Words counter, unsigned int key0, unsigned int key1) {
    unsigned int c0 = counter.at[0], c1 = counter.at[1], c2 = counter.at[2], c3 = counter.at[3];
    for (int round = 0; round < 10; ++round) {
        unsigned int high0 = high_word(c0, 0xD2511F53u), low0 = c0 * 0xD2511F53u;
        unsigned int high1 = high_word(c2, 0xCD9E8D57u), low1 = c2 * 0xCD9E8D57u;
        c0 = high1 ^ c1 ^ key0;
        c2 = high0 ^ c3 ^ key1;
        c1 = low1;
        c3 = low0;
        key0 += 0x9E3779B9u;  // Weyl constants: the golden ratio, sqrt(3) - 1
        key1 += 0xBB67AE85u;
    }
    return Words{{c0, c1, c2, c3}};
}
