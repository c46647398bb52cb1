"""FID's Inception-v3 in PyTorch, random weights, for timing only. Needs `pip install torch numpy`.

    python torch_inception.py LAYOUT --batch 4 [--tuned]

LAYOUT is JSON: the list of blocks of packages/metrics/src/inception/layout.ts. Batch norms are layers of their own and images
have channels first, as in pytorch-fid; tuned, norms are folded into the convolutions and channels come last. Prints one JSON
line: `ms` for a batch of 299 x 299 images.
"""
import argparse, json, time
import torch
import torch.nn as nn
import torch.nn.functional as F


class Unit(nn.Module):
    def __init__(self, at, folded):
        super().__init__()
        rows, columns = at["size"]
        padding = 0 if at["valid"] else (rows // 2, columns // 2)
        self.conv = nn.Conv2d(at["from"], at["to"], (rows, columns), at["stride"], padding, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(at["to"], eps=1e-3)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Fork(nn.Module):
    def __init__(self, paths, folded):
        super().__init__()
        self.paths = nn.ModuleList([chain(path, folded) for path in paths])

    def forward(self, x):
        return torch.cat([path(x) for path in self.paths], 1)


def layer(step, folded):
    kind = step["kind"]
    if kind == "unit":
        return Unit(step, folded)
    if kind == "fork":
        return Fork(step["paths"], folded)
    if kind == "shrink":
        return nn.MaxPool2d(3, 2)
    if kind == "mean":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    if kind == "largest":
        return nn.MaxPool2d(3, 1, 1)
    raise ValueError(kind)


def chain(steps, folded):
    return nn.Sequential(*[layer(step, folded) for step in steps])


parser = argparse.ArgumentParser()
parser.add_argument("layout")
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--tuned", action="store_true")
parser.add_argument("--runs", type=int, default=5)
args = parser.parse_args()
with open(args.layout) as file:
    blocks = json.load(file)
network = nn.Sequential(*[chain(block["steps"], args.tuned) for block in blocks]).eval()
images = torch.rand(args.batch, 3, 299, 299) * 2 - 1
if args.tuned:
    network = network.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
times = []
with torch.inference_mode():
    for _ in range(2 + args.runs):
        start = time.perf_counter()
        features = network(images).mean((2, 3))
        times.append((time.perf_counter() - start) * 1e3)
assert features.shape == (args.batch, 2048)
print(json.dumps({"ms": sorted(times[2:])[args.runs // 2], "threads": torch.get_num_threads()}))
