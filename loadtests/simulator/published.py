"""Engines, requests and starts with the numbers that somebody measured; each with its source and its figures."""

from __future__ import annotations

from loadtests.gpu.curves import BatchTime, StepTime, batch_time, step_time
from loadtests.simulator.engine import Engine, Tokens
from loadtests.simulator.quantiles import Quantiles

# NVIDIA, TensorRT repository at 007c347, demo/BERT/README.md: BERT-large, 384 tokens, FP16, on an A100 (40 GB), mean
# latency in milliseconds by the size of the batch.
BERT_BATCHES = (1, 2, 4, 8, 12, 16, 24, 32)
BERT_MILLISECONDS = (3.12, 4.15, 5.96, 11.53, 16.22, 21.92, 32.43, 43.01)
BERT_TIME: BatchTime = batch_time(BERT_BATCHES, [each / 1000 for each in BERT_MILLISECONDS])

ENCODER = Engine(
    fixed_seconds=BERT_TIME.fixed,
    seconds_per_item=BERT_TIME.per_item,
    largest_batch=16,
    delay_seconds=0.005,
)
"""A text encoder in dynamic batches. Their limit and the delay are a choice: twice the throughput of single requests."""

# Splitwise (Patel et al., ISCA 2024), Mutinifni/splitwise-sim at 3780880, data/perf_model.csv: Llama 2 70B on eight H100
# (80 GB) with tensor parallelism, medians of five to fifteen runs in milliseconds. A token of each of `sequences` answers, of
# 128 tokens each, behind prompts of `prompts` tokens; and the prompts of a whole batch, by their tokens together.
LLAMA_SEQUENCES = (1, 1, 1, 1, 1, 1, 1, 2, 4, 8, 16, 32, 64)
LLAMA_PROMPTS = (128, 256, 512, 1024, 2048, 4096, 8192, 512, 512, 512, 512, 512, 512)
LLAMA_TOKEN_MILLISECONDS = (
    29.87, 28.27, 29.76, 29.74, 31.05, 30.56, 31.41, 30.26, 31.79, 32.50, 34.17, 38.62, 50.16,
)  # fmt: skip
LLAMA_INPUT_TOKENS = (128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
LLAMA_INPUT_MILLISECONDS = (58.19, 51.66, 53.39, 77.68, 134.4, 376.2, 831.5, 1552.0, 2936.0)
HALF_AN_ANSWER = 64
"""Tokens that an answer of these measurements had in the cache, beside its prompt, on average."""
LLAMA_STEP: StepTime = step_time(
    LLAMA_SEQUENCES,
    [b * (prompt + HALF_AN_ANSWER) for b, prompt in zip(LLAMA_SEQUENCES, LLAMA_PROMPTS, strict=True)],
    [each / 1000 for each in LLAMA_TOKEN_MILLISECONDS],
)
LLAMA_READING: BatchTime = batch_time(LLAMA_INPUT_TOKENS, [each / 1000 for each in LLAMA_INPUT_MILLISECONDS])

LLAMA_70B = Engine(
    fixed_seconds=LLAMA_STEP.fixed,
    seconds_per_item=LLAMA_STEP.per_sequence,
    seconds_per_input_token=LLAMA_READING.per_item,
    seconds_per_cached_token=LLAMA_STEP.per_token,
    # DEFAULT_MAX_NUM_SEQS and DEFAULT_MAX_NUM_BATCHED_TOKENS of vLLM's SchedulerConfig (docs.vllm.ai, stable, November 2026).
    largest_batch=128,
    iteration_tokens=2048,
    # 80 layers x 8 heads of keys and of values x 128 numbers x 2 bytes are 328 kB a token; nine tenths of 640 GB less 138 GB of
    # weights hold 1.3 million.
    cache_tokens=1_300_000,
)
"""A large language model in continuous batches. The time to read prompts is the linear one without its fixed part, which an
iteration has but once: the kernels overlap, so no line fits better than by a third."""

# ServeGen (Alibaba), alibaba/ServeGen at f891d11, language/m-large: quantiles over its 14 largest clients. The ends are ours: a
# hundredth of all, by line on to twice the 99th percentile of prompts, and to an answer's limit of 1024 tokens.
SERVEGEN_LARGE = Tokens(
    inputs=Quantiles((0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1), (1, 73, 75, 343, 1874, 2383, 2960, 4189, 8378)),
    outputs=Quantiles((0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1), (1, 20, 136, 422, 460, 494, 563, 972, 1024)),
)  # fmt: skip

# GenTD26 (Alibaba), alibaba/clusterdata at 7a6c496, cluster-trace-v2026-GenAI: a base model is loaded within 22.7 s at the
# median, 45 s at the 95th and 52 s at the 99th percentile. The ends are ours.
MODEL_LOAD_SECONDS = Quantiles((0, 0.5, 0.95, 0.99, 1), (10, 22.7, 45, 52, 60))
IMAGE_VARIATION = 0.73
"""Coefficient of variation of the time that one image takes there (median 23 s): the spread of long jobs here."""
