#!/usr/bin/env python3
"""Writes adam_reference.txt: what torch.optim.Adam does with fixed gradients, for adam_test.cpp.

    python3 tests/core/data/make_adam_reference.py > tests/core/data/adam_reference.txt

Needs torch. Gradients and initial values come from the splitmix64 finaliser and are dyadic fractions, so
that C++ and Python make the same ones exactly. Parameters are printed after some steps, in hexadecimal.
"""

import torch

COORDINATES = 8
CHECKPOINTS = (1, 2, 10, 100, 1000)
OPTIONS = (  # learning rate, beta1, beta2, epsilon
    (1e-3, 0.9, 0.999, 1e-8),
    (1e-2, 0.8, 0.99, 1e-4),
)
MASK = (1 << 64) - 1


def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def fraction(n):
    """In [-0.5, 1.5), 20 bits: noise with a drift."""
    return (mix64(n) >> 44) * 2.0**-19 - 0.5


def gradient(step, coordinate):
    """Coordinates differ in scale by powers of two; the last one's gradient is always zero."""
    if coordinate == COORDINATES - 1:
        return 0.0
    return fraction(step * COORDINATES + coordinate) * 2.0 ** (6 - 5 * coordinate)


print("# torch.optim.Adam; written by make_adam_reference.py with torch " + torch.__version__.split("+")[0])
print("# each line: options, bits, step, parameters")
for number, (rate, beta1, beta2, epsilon) in enumerate(OPTIONS):
    for bits, dtype in ((32, torch.float32), (64, torch.float64)):
        parameters = torch.tensor([fraction(-1 - j & MASK) for j in range(COORDINATES)], dtype=dtype)
        parameters.requires_grad_()
        adam = torch.optim.Adam([parameters], lr=rate, betas=(beta1, beta2), eps=epsilon)
        for step in range(1, CHECKPOINTS[-1] + 1):
            parameters.grad = torch.tensor([gradient(step, j) for j in range(COORDINATES)], dtype=dtype)
            adam.step()
            if step in CHECKPOINTS:
                print(number, bits, step, *(value.hex() for value in parameters.tolist()))
