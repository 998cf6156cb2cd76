"""`lmfast train` and `lmfast generate`."""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path
from typing import Any

from lmfast.cli.common import Commands, add_sampling, add_tokenizer, progress, remark, sampling, show


def add_commands(commands: Commands) -> None:
    """The verbs."""
    train = commands.verb(
        "train",
        "Train a neural language model on a token store.",
        run_train,
        """lmfast train lstm --store train.bin --budget 40s --out runs/lstm
        lmfast train gpt2 --store train.bin --valid valid.bin --budget '2000 steps' --set n_layer=4 --out runs/gpt
        lmfast train lstm-200 --store train.bin --mode stateful --optimizer sgd --lr 20 --out runs/lstm""",
    )
    train.add_argument("model", metavar="MODEL", help="a family or a preset, such as lstm, gru, gpt2, gpt2-124m")
    train.add_argument(
        "--store", required=True, metavar="STORE", help="token store to train on (lmfast tokenizer encode)"
    )
    train.add_argument("--valid", metavar="STORE", help="token store to measure the loss on")
    train.add_argument("--out", required=True, metavar="FOLDER", help="where the model and its checkpoints go")
    train.add_argument("--vocab-size", type=int, metavar="N", help="(default: the tokenizer's, else the store's)")
    train.add_argument(
        "--budget", default="1000 steps", help="a number and steps, s, epochs or tokens (default: 1000 steps)"
    )
    train.add_argument("--batch-size", type=int, default=16, metavar="N", help="rows of a batch (default: 16)")
    train.add_argument("--seq-len", type=int, default=128, metavar="N", help="tokens of a row (default: 128)")
    train.add_argument("--mode", default="shuffle", help="order of the rows: shuffle, sequential or stateful")
    train.add_argument("--optimizer", default="adamw", help="sgd, adam, adamw or muon (default: adamw)")
    train.add_argument("--lr", type=float, default=1e-3, metavar="X", help="the largest learning rate (default: 0.001)")
    train.add_argument("--schedule", default="cosine", help="constant, cosine, linear or wsd (default: cosine)")
    train.add_argument("--warmup-steps", type=int, default=0, metavar="N", help="(default: 0)")
    train.add_argument("--weight-decay", type=float, default=0.1, metavar="X", help="(default: 0.1)")
    train.add_argument("--clip-norm", type=float, metavar="X", help="largest norm of the gradient (default: none)")
    train.add_argument("--accumulation", type=int, default=1, metavar="N", help="batches a step (default: 1)")
    train.add_argument("--checkpoint-every", type=int, metavar="N", help="steps between checkpoints")
    train.add_argument("--no-resume", action="store_true", help="start anew where a checkpoint lies")
    train.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a size of the model, as n_layer=4"
    )
    train.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    train.add_argument("--device", metavar="DEVICE", help="cpu or cuda (default: the GPU where there is one)")
    add_tokenizer(train)

    generate = commands.verb(
        "generate",
        "Draw text from any model.",
        run_generate,
        """lmfast generate runs/demo/models/gpt --prompt 'import '
        lmfast generate corpus.lmn --prompt 'in the' --seed 1""",
    )
    generate.add_argument("model", metavar="MODEL", help="a folder of a neural model, or an n-gram file")
    add_sampling(generate, max_tokens=100)
    add_tokenizer(generate)


def run_train(arguments: argparse.Namespace) -> None:
    """`lmfast train`."""
    from lmfast import BatchLoader, TokenStore, Trainer, models, save
    from lmfast.training.budget import Budget

    Budget.parse(arguments.budget)
    store = TokenStore.open(arguments.store)
    out = Path(arguments.out)
    loader_options: dict[str, Any] = {"mode": arguments.mode, "seed": arguments.seed, "output": "torch"}
    shape = arguments.batch_size, arguments.seq_len
    train = BatchLoader(store, *shape, epochs=2**31, **loader_options)
    valid = None
    if arguments.valid:
        valid = BatchLoader(TokenStore.open(arguments.valid), *shape, mode="sequential", output="torch")
    model = models.build(arguments.model, vocab_size=vocab_size(arguments, store), **overrides(arguments.set))
    result = Trainer(
        model,
        train=train,
        valid=valid,
        optimizer=arguments.optimizer,
        lr=arguments.lr,
        weight_decay=arguments.weight_decay,
        schedule=arguments.schedule,
        warmup_steps=arguments.warmup_steps,
        clip_norm=arguments.clip_norm,
        accumulation=arguments.accumulation,
        budget=arguments.budget,
        seed=arguments.seed,
        checkpoint_every=arguments.checkpoint_every,
        out=out,
        resume=False if arguments.no_resume else "auto",
        device=arguments.device,
        progress=progress(arguments),
    ).fit()
    save(model, out)
    summary = {
        "out": str(out),
        "steps": result.steps,
        "train_loss": result.train_loss,
        "valid_loss": result.valid_loss,
        "tokens_per_second": result.tokens_per_second,
        "train_seconds": result.seconds,
    }
    (out / "training.json").write_text(json.dumps(summary | {"history": result.history}) + "\n")
    show(arguments, summary)
    remark(arguments, f"try: lmfast generate {out}")


def vocab_size(arguments: argparse.Namespace, store: Any) -> int:
    """The vocabulary's size: as asked, or the tokenizer's, or the largest id of the store plus one."""
    if arguments.vocab_size is not None:
        return int(arguments.vocab_size)
    if arguments.tokenizer is not None:
        from lmfast import Tokenizer

        return Tokenizer.from_file(arguments.tokenizer).vocab_size
    return int(store.vocab_size or store.tokens.max() + 1)


def overrides(settings: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as arguments of a model.

    >>> overrides(["n_layer=4", "tied=True"])
    {'n_layer': 4, 'tied': True}
    """
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            message = f"--set {setting}: NAME=VALUE was expected, such as n_layer=4"
            raise ValueError(message)
        try:
            found[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            found[name] = value
    return found


def run_generate(arguments: argparse.Namespace) -> None:
    """`lmfast generate`."""
    from lmfast import generate, load
    from lmfast.comparison import tokenizer_of

    model = load(arguments.model)
    options = sampling(arguments)
    if getattr(model, "is_of_tokens", True):
        text = generate(model, tokenizer_of(arguments.model, arguments.tokenizer), arguments.prompt, **options)
    else:
        text = model.generate(arguments.prompt, **options)
    show(arguments, {"prompt": arguments.prompt, "text": text}, arguments.prompt + text)
