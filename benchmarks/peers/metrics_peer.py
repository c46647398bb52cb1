"""The peers of the metrics benchmark: scipy's Fréchet distance of two Gaussians in files; numpy's moments, precision and recall."""

import json
import sys
import time

import numpy as np


def frechet(dims, folder):
    from scipy import linalg

    def gaussian(name):
        values = np.fromfile(f"{folder}/{name}.f64")
        return values[:dims], values[dims:].reshape(dims, dims)

    (mu1, sigma1), (mu2, sigma2) = gaussian("a"), gaussian("b")
    start = time.perf_counter()
    root = linalg.sqrtm(sigma1 @ sigma2)
    distance = ((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * np.real(root))
    return {"ms": 1000 * (time.perf_counter() - start), "distance": float(distance)}


def scatter(count, dims):
    rows = np.random.default_rng(0).normal(size=(count, dims)).astype(np.float32)
    start = time.perf_counter()
    rows.mean(0, dtype=np.float64), np.cov(rows, rowvar=False, dtype=np.float64)
    return {"ms": 1000 * (time.perf_counter() - start)}


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


work = {"frechet": frechet, "scatter": scatter, "neighbours": neighbours}[sys.argv[1]]
print(json.dumps(work(*(int(arg) if arg.isdigit() else arg for arg in sys.argv[2:]))))
