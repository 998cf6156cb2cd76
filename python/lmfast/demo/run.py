"""The main job from end to end: raw text to a table of language models.

Every step is a call that users have, and a verb of the command line too:

    lmfast tokenizer train text/train.jsonl --vocab-size 8192 --out tokenizer.json
    lmfast tokenizer encode tokenizer.json text/train.jsonl --out tokens/train.bin
    lmfast ngram train tokens/train.bin --tokenizer tokenizer.json --order 5 --out models/5-gram.lmn
    lmfast train gpt2 --store tokens/train.bin --valid tokens/valid.bin --budget 40s --out models/GPT
    lmfast compare models/* --text text/valid.jsonl
"""

from __future__ import annotations

import datetime
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmfast.demo.plan import NeuralPlan, neural_plans
from lmfast.demo.text import SplitText, write_split
from lmfast.errors import refuse_warning, require

if TYPE_CHECKING:
    import numpy as np

    from lmfast.data import TokenStore
    from lmfast.report import Curve, Passage, Row, Sample
    from lmfast.source import Source
    from lmfast.tokenizer import Tokenizer

__all__ = ["Demo", "run_demo"]

ORDERS = (1, 2, 3, 4, 5)
CURVE_BATCHES = 12
"""Batches of each measurement of the validation loss while a neural model trains."""
PASSAGE_TOKENS = 180
CONTEXT_TOKENS = 200
"""Tokens before the passage that the models see too."""
PROMPTS = 3
PROMPT_TOKENS = 12
SAMPLE_TOKENS = 60


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo made."""

    folder: Path
    report: Path
    """The page to open."""
    rows: list[Row]
    seconds: float


@dataclass(frozen=True)
class Trained:
    """A model, where it is saved and what it cost."""

    name: str
    path: Path
    model: Any
    seconds: float
    tokens_per_second: float
    curve: Curve | None = None


def run_demo(
    source: Source | None = None,
    *,
    budget: str = "40s",
    out: str | os.PathLike[str] = "runs/demo",
    vocab_size: int = 8192,
    seed: int = 0,
    threads: int | None = None,
    command: Sequence[str] = (),
    progress: bool | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Demo:
    """Train n-gram and neural language models on a text and compare them.

    Args:
        source: The text; None for the sources of Python's standard library.
        budget: What each neural model may take to train; see `lmfast.Trainer`.
        out: The folder for the text's halves, the tokenizer, the token stores, the models, `metrics.json`, the pictures
            and `report.html`.
        vocab_size: Tokens of the vocabulary.
        seed: Of weights, shuffling and samples.
        threads: Threads to use; None for every core.
        command: The command line that the report shows.
        progress: True for progress bars, None for bars on a terminal.
        say: Called with a line of text after each step.

    Returns:
        The figures and where everything is.

    Raises:
        MissingDependencyError: torch is not installed.
        OSError: A file that cannot be read, a folder that cannot be written.
        ValueError: Too little text, or an argument that cannot be used.
    """
    for module in ("torch", "matplotlib", "jinja2"):
        require(module, extra="torch", purpose="lmfast demo")
    from lmfast import Tokenizer
    from lmfast.training.budget import Budget

    Budget.parse(budget)
    begin = time.perf_counter()
    folder = Path(out)
    stages: list[tuple[str, float]] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        stages.append((name, time.perf_counter() - start))

    with stage("text"):
        text = write_split(source, folder / "text")
    sizes = f"{text.train_bytes / 1e6:.1f} MB to train on, {text.valid_bytes / 1e6:.2f} MB to validate"
    say(f"text       {sizes}: {text.origin}")

    with stage("tokenizer"), refuse_warning("vocab_size"):
        tokenizer = Tokenizer.train(text.train, vocab_size, threads=threads, progress=progress)
        tokenizer.save(folder / "tokenizer.json")
    with stage("encoding"):
        (folder / "tokens").mkdir(exist_ok=True)
        train, valid = (
            tokenizer.encode_files(path, folder / "tokens" / f"{path.stem}.bin", threads=threads, progress=progress)
            for path in (text.train, text.valid)
        )
    sizes = f"{train.num_tokens:,} to train on, {valid.num_tokens:,} to validate"
    say(f"tokens     {sizes}, of {tokenizer.vocab_size:,} kinds")

    (folder / "models").mkdir(exist_ok=True)
    trained: list[Trained] = []
    with stage("n-grams"):
        for order in ORDERS:
            trained.append(train_ngram(train, order, tokenizer, folder / "models", threads, progress))
            say(f"{trained[-1].name:10} {sum(trained[-1].model.counts):,} n-grams in {trained[-1].seconds:.1f} s")
    with stage("neural models"):
        import torch

        tokens = min(train.num_tokens, valid.num_tokens)
        for plan in neural_plans(tokenizer.vocab_size, tokens=tokens, gpu=torch.cuda.is_available()):
            trained.append(train_neural(plan, train, valid, folder / "models", budget, seed, threads, progress))
            say(f"{plan.name:10} {trained[-1].tokens_per_second:,.0f} tokens/s for {trained[-1].seconds:.0f} s")
    with stage("evaluation"):
        rows = measure(trained, valid, tokenizer)
    with stage("passage and samples"):
        passage = show_passage(trained, valid, tokenizer, text)
        samples = draw_samples(trained, valid, tokenizer, seed)

    report = write_results(
        folder,
        rows,
        trained,
        passage,
        samples,
        text,
        (train, valid),
        tokenizer,
        stages,
        command,
        time.perf_counter() - begin,
    )
    return Demo(folder=folder, report=report, rows=rows, seconds=time.perf_counter() - begin)


def train_ngram(
    store: TokenStore, order: int, tokenizer: Tokenizer, folder: Path, threads: int | None, progress: bool | None
) -> Trained:
    """Estimate and save one Kneser-Ney model."""
    from lmfast import NgramModel

    name = f"{order}-gram"
    path = folder / f"{name}.lmn"
    start = time.perf_counter()
    model = NgramModel.train(store, order, tokenizer=tokenizer, threads=threads, progress=progress)
    model.save(path)
    seconds = time.perf_counter() - start
    return Trained(name, path, model, seconds, store.num_tokens / seconds)


def train_neural(
    plan: NeuralPlan,
    train: TokenStore,
    valid: TokenStore,
    folder: Path,
    budget: str,
    seed: int,
    threads: int | None,
    progress: bool | None,
) -> Trained:
    """Train and save one neural model, and keep how its losses fell."""
    import torch

    from lmfast import BatchLoader, Trainer, save

    torch.manual_seed(seed)
    model = plan.build()
    result = Trainer(
        model,
        train=BatchLoader(
            train, plan.batch_size, plan.seq_len, seed=seed, epochs=1_000_000, output="torch", threads=threads
        ),
        valid=BatchLoader(valid, plan.batch_size, plan.seq_len, seed=seed, output="torch", threads=threads),
        budget=budget,
        seed=seed,
        valid_every=plan.valid_every,
        valid_batches=CURVE_BATCHES,
        progress=progress,
        **plan.options,
    ).fit()
    path = folder / plan.name
    save(model, path)
    training = {"train_seconds": result.seconds, "tokens_per_second": result.tokens_per_second, "steps": result.steps}
    (path / "training.json").write_text(json.dumps(training | {"history": result.history}) + "\n", encoding="utf-8")
    return Trained(
        plan.name, path, model, result.seconds, result.tokens_per_second, curve_of(plan.name, result.history)
    )


def curve_of(name: str, history: Sequence[dict[str, Any]]) -> Curve:
    """A trainer's history as the lines of a picture."""
    from lmfast.report import Curve, Point

    def points(key: str) -> list[Point]:
        return [Point(row["seconds"], row["step"], row["tokens"], row[key]) for row in history if key in row]

    return Curve(name, train=points("loss"), valid=points("valid_loss"))


def measure(trained: Sequence[Trained], valid: TokenStore, tokenizer: Tokenizer) -> list[Row]:
    """Every model over the same validation tokens."""
    from lmfast import evaluate
    from lmfast.comparison import row

    return [
        row(
            each.path,
            each.model,
            evaluate(each.model, valid, tokenizer=tokenizer),
            name=each.name,
            train_seconds=each.seconds,
            tokens_per_second=each.tokens_per_second,
        )
        for each in trained
    ]


def typical_documents(store: TokenStore, count: int) -> list[np.ndarray]:
    """Documents of middling length among those that are long enough to show something of.

    The longest ones are often tables, the shortest boilerplate.
    """
    import numpy as np

    lengths = np.diff(store.offsets).astype(np.int64)
    by_length = np.argsort(lengths, kind="stable")
    enough = by_length[lengths[by_length] >= CONTEXT_TOKENS + PASSAGE_TOKENS]
    chosen = enough if len(enough) else by_length[-1:]
    return [store[int(chosen[len(chosen) * (2 * number + 1) // (2 * count)])] for number in range(count)]


def show_passage(
    trained: Sequence[Trained], valid: TokenStore, tokenizer: Tokenizer, text: SplitText
) -> Passage | None:
    """A piece of a validation document, and each model's surprisal at each of its tokens."""
    import numpy as np

    from lmfast.evaluation import token_losses
    from lmfast.report import Passage

    (document,) = typical_documents(valid, 1)
    pieces = [tokenizer.decode_bytes([int(id)]) for id in document]
    start = max(1, min(len(document) // 3, len(document) - PASSAGE_TOKENS))
    # From the beginning of a line, if one begins soon.
    start = next((place for place in range(start, min(start + 50, len(document))) if b"\n" in pieces[place - 1]), start)
    stop = min(start + PASSAGE_TOKENS, len(document))
    if stop - start < 2:
        return None
    context = max(0, start - CONTEXT_TOKENS)
    ids = np.asarray(document[context:stop])
    surprisals = {
        each.name: [float(loss) / math.log(2) for loss in token_losses(each.model, ids)[start - context - 1 :]]
        for each in trained
    }
    return Passage(tokens=pieces[start:stop], surprisals=surprisals, origin=text.origin)


def draw_samples(trained: Sequence[Trained], valid: TokenStore, tokenizer: Tokenizer, seed: int) -> list[Sample]:
    """Text that each model generates after pieces of the same three validation documents."""
    from lmfast import generate
    from lmfast.report import Sample

    prompts = []
    for document in typical_documents(valid, PROMPTS):
        start = len(document) // 2
        prompts.append(tokenizer.decode([int(id) for id in document[start : start + PROMPT_TOKENS]]))
    return [
        Sample(
            each.name,
            prompt,
            generate(
                each.model, tokenizer, prompt, max_tokens=SAMPLE_TOKENS, temperature=0.8, top_p=0.95, seed=seed + number
            ),
        )
        for each in trained
        for number, prompt in enumerate(prompts)
    ]


def write_results(
    folder: Path,
    rows: list[Row],
    trained: Sequence[Trained],
    passage: Passage | None,
    samples: Sequence[Sample],
    text: SplitText,
    stores: tuple[TokenStore, TokenStore],
    tokenizer: Tokenizer,
    stages: Sequence[tuple[str, float]],
    command: Sequence[str],
    seconds: float,
) -> Path:
    """Write `metrics.json`, the pictures and the page."""
    import torch

    from lmfast.comparison import versions
    from lmfast.report import Machine, Report, Stage, TextFacts, TokenizerFacts, write_report

    train, valid = stores
    facts: dict[str, Any] = {
        "origin": text.origin,
        "documents": text.train_documents + text.valid_documents,
        "bytes": text.train_bytes + text.valid_bytes,
        "train_tokens": train.num_tokens,
        "valid_tokens": valid.num_tokens,
        "valid_bytes": text.valid_bytes,
    }
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    report = write_report(
        folder,
        Report(
            rows=rows,
            curves=[each.curve for each in trained if each.curve is not None],
            passage=passage,
            samples=samples,
            text=TextFacts(
                sources=[text.origin],
                documents=facts["documents"],
                bytes=facts["bytes"],
                train_tokens=train.num_tokens,
                valid_tokens=valid.num_tokens,
            ),
            tokenizer=TokenizerFacts(
                kind="byte-level BPE",
                vocabulary_size=tokenizer.vocab_size,
                bytes_per_token=text.valid_bytes / valid.num_tokens,
            ),
            stages=[Stage(*each) for each in stages],
            versions=versions(),
            command=command,
            machine=Machine(cores=os.cpu_count() or 1, device=device),
            date=datetime.datetime.now(datetime.UTC),
            speed="tokens trained on in a second",
        ),
    )
    metrics = {
        "rows": rows,
        "text": facts,
        "versions": versions(),
        "command": list(command),
        "seconds": seconds,
        "stages": dict(stages),
    }
    temporary = folder / f".metrics.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / "metrics.json")
    return report
