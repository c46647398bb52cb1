/** Names of flags here, and what other projects call them (LlamaGen, RAR, Open-MAGVIT2, Janus, diffusers, timm, torch-fidelity). */
const CALLED: Readonly<Record<string, string>> = {
  "cfg-scale": "scale cfg cfg-weight guidance-scale classifier-free-guidance unconditional-guidance-scale",
  guidance: "cfg-schedule guidance-schedule guidance-kind guidance-type",
  interval: "cfg-interval guidance-interval",
  power: "scale-pow guidance-scale-pow cfg-power guidance-power",
  "num-images":
    "n count samples images n-images num-samples n-samples num-fid-samples num-fid num-images-per-prompt number",
  images: "num-images n-images num-samples n-samples count image-dir",
  output:
    "o out output-dir output-path output-file outdir out-dir save-dir save-path sample-dir results-dir result-dir save-folder dest destination to",
  model:
    "ckpt checkpoint gpt-ckpt gpt-model ckpt-path checkpoint-path model-path model-dir weights pretrained from-pretrained load resume-from network",
  checkpoint: "ckpt gpt-ckpt ckpt-path checkpoint-path weights input",
  base: "model ckpt checkpoint gpt-ckpt pretrained base-model init-from finetune-from",
  tokenizer:
    "vq-ckpt vq-model vae vae-path vqgan vqgan-path tokenizer-path tokenizer-dir tokenizer-checkpoint autoencoder first-stage",
  "tokenizer-model": "vq-model vqgan-model",
  classes: "class classes-ids class-id class-ids class-label class-labels label labels c categories",
  prompt: "text caption p description",
  prompts: "prompt-file prompts-file prompt-csv text-file captions-file",
  captions: "caption t5-feat t5-path text-features caption-emb",
  conditions: "prompts captions classes",
  "batch-size":
    "b bs batch per-proc-batch-size global-batch-size local-batch-size train-batch-size per-gpu-batch-size batchsize",
  batch: "batch-size batches batch-sizes bs b",
  steps:
    "iterations iters max-iters max-steps num-steps num-iterations max-train-steps total-steps train-steps epochs num-epochs n-steps",
  "learning-rate": "lr base-lr blr max-lr",
  "warmup-steps": "warmup warmup-iters lr-warmup-steps warmup-iterations warmup-epochs",
  "weight-decay": "wd decay adam-weight-decay",
  clip: "grad-clip clip-grad max-grad-norm clip-grad-norm gradient-clip gradient-clip-val max-norm",
  "gradient-accumulation":
    "gradient-accumulation-steps accumulate accumulation accumulation-steps accumulate-grad-batches grad-accum accum-iter",
  "ema-decay": "ema ema-rate decay",
  "checkpoint-every":
    "ckpt-every save-every save-freq save-interval save-steps checkpoint-freq checkpointing-steps snap",
  "log-every": "log-freq log-interval log-steps print-freq logging-steps",
  precision: "dtype mixed-precision half fp16 bf16 amp",
  weights: "precision dtype quantize quantization quant format bits half fp16 int8 int4",
  resume: "continue resume-from resume-from-checkpoint restart",
  overwrite: "force f replace exist-ok yes",
  seed: "global-seed random-seed manual-seed rng-seed",
  threads: "num-threads n-threads num-workers workers n-workers j jobs cpus",
  engine: "device backend accelerator runtime",
  provider: "device target execution-provider providers ep runtime backend engine",
  target: "device provider execution-provider ep runtime backend platform",
  temperature: "temp t randomize-temperature",
  "top-k": "k topk top-k-filter",
  "top-p": "p topp nucleus top-p-filter",
  data: "data-path data-dir dataset dataset-dir data-root train-data train-data-dir prepare prepare-data preprocess",
  path: "data data-path data-dir input input-dir images folder root",
  codes: "code-path code-dir codes-dir tokens latents encode tokenize extract-codes",
  size: "image-size img-size resolution res crop-size input-size",
  "image-size": "size img-size resolution res input-size",
  "evaluation-size": "image-size-eval eval-size resize image-size",
  reference: "real ref ref-path ref-batch gt fid-stats real-images stats reference-path reference-batch",
  samples: "fake gen generated sample-batch sample-path fake-images images input",
  inception: "inception-path inception-weights fid-weights feature-extractor",
  "save-statistics": "save-stats stats-out",
  from: "family source repo repository framework kind",
  "codebook-size": "vocab-size n-embed num-embeddings n-codes codes",
  "code-width": "codebook-embed-dim embed-dim code-dim codebook-dim",
  "latent-channels": "z-channels latent-dim",
  channels: "ch base-channels width",
  "channel-multipliers": "ch-mult channel-mult channel-multiplier encoder-ch-mult",
  "res-blocks": "num-res-blocks n-res-blocks",
  width: "dim embed-dim hidden-size d-model hidden-dim n-embd",
  layers: "n-layer n-layers num-layers depth blocks",
  heads: "n-head n-heads num-heads num-attention-heads",
  "window-size": "window k tensor-size",
  "class-dropout": "class-dropout-prob dropout label-drop cond-drop-prob cfg-dropout",
  npz: "save-npz",
  json: "out output report save output-file",
  runs: "n repeat repeats iterations iters num-runs",
  "validation-fraction": "val-split validation-split val-ratio test-size",
  "class-names": "names labels classes class-file",
  report: "html page",
  config: "cfg-file config-file c yaml settings",
  // Commands.
  sample: "generate generation infer inference synthesize draw predict",
  pretrain: "train train-base",
  finetune: "fine-tune tune train-tensorar adapt",
  evaluate: "eval fid score metrics compare",
  reconstruct: "rec recon reconstruction rfid",
  convert: "import migrate transform",
  bench: "benchmark time profile speed",
  verify: "check test validate compare",
  doctor: "info env diagnose system status check",
  export: "to-onnx onnx save",
};

/** What other projects call a flag or command → its names here, any of which a command may have. */
export const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = table();

function table(): Record<string, string[]> {
  const names: Record<string, string[]> = Object.create(null);
  for (const [here, others] of Object.entries(CALLED)) {
    for (const other of others.split(" ")) {
      names[other] ??= [];
      names[other].push(here);
    }
  }
  return names;
}
