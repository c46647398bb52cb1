"""The peers of the metrics benchmark: scipy's Fréchet distance and numpy's precision and recall, on arrays made here."""

import json
import sys
import time

import numpy as np


def statistics(dims, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(2 * dims, dims)) @ np.diag(np.linspace(0.1, 1, dims))
    return rows.mean(0), np.cov(rows, rowvar=False)


def frechet(dims):
    from scipy import linalg

    (mu1, sigma1), (mu2, sigma2) = statistics(dims, 1), statistics(dims, 2)
    start = time.perf_counter()
    root = linalg.sqrtm(sigma1 @ sigma2)
    distance = ((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * np.real(root))
    return {"seconds": time.perf_counter() - start, "distance": float(distance)}


def neighbours(count, dims, k=3, block=1000):
    random = np.random.default_rng(0)
    real, fake = (random.normal(size=(count, dims)).astype(np.float32) for _ in range(2))
    start = time.perf_counter()

    def distances(a, b):
        return (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T

    def radii(x):
        return np.concatenate([np.partition(distances(x[i : i + block], x), k, axis=1)[:, k] for i in range(0, count, block)])

    radii_real, radii_fake = radii(real), radii(fake)
    inside_real, inside_fake = np.zeros(count, bool), np.zeros(count, bool)
    for i in range(0, count, block):
        d = distances(real[i : i + block], fake)
        inside_real |= (d <= radii_real[i : i + block, None]).any(0)
        inside_fake[i : i + block] = (d <= radii_fake[None]).any(1)
    return {"seconds": time.perf_counter() - start, "precision": float(inside_real.mean())}


work = {"frechet": frechet, "neighbours": neighbours}[sys.argv[1]]
print(json.dumps(work(*map(int, sys.argv[2:]))))
