"""T5EncoderModel of transformers, random weights, float32, for timing only. Needs `pip install torch transformers numpy`.

    python torch_t5.py --config JSON --batch 8 --tokens 120

JSON has the keys of the original's config.json. Prints one JSON line: `ms` for a batch.
"""
import argparse, json, time
import torch
from transformers import T5Config, T5EncoderModel

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=json.loads, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--tokens", type=int, required=True)
parser.add_argument("--runs", type=int, default=5)
args = parser.parse_args()
model = T5EncoderModel(T5Config(**args.config)).eval()
ids = torch.randint(0, args.config["vocab_size"], (args.batch, args.tokens))
mask = torch.ones_like(ids)
times = []
with torch.inference_mode():
    for _ in range(2 + args.runs):
        start = time.perf_counter()
        features = model(input_ids=ids, attention_mask=mask).last_hidden_state
        times.append((time.perf_counter() - start) * 1e3)
assert features.shape == (args.batch, args.tokens, args.config["d_model"])
print(json.dumps({"ms": sorted(times[2:])[args.runs // 2], "threads": torch.get_num_threads()}))
