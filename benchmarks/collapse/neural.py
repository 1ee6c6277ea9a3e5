"""A small recurrent language model, to see whether the policies' order is the same.

A GRU (Cho et al. 2014) over the most frequent words of its training set. All others
are one class for it, within which words have the frequencies of the training set; so
its perplexity is over the same vocabulary as that of the trigrams.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from benchmarks.collapse.world import BEGIN, END

FREQUENT = 2_000
WIDTH = 128
STEPS, BATCH, EPOCHS, RATE = 32, 32, 4, 4e-3
LONGEST, SHORTEST, TOGETHER = 400, 20, 512
UNSEEN = 0.5  # counts that words of the rest have which never occurred


class _Network(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, WIDTH)
        self.recur = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.predict = nn.Linear(WIDTH, classes)
        self.predict.weight = self.embed.weight

    def forward(
        self, tokens: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        hidden, state = self.recur(self.embed(tokens), state)
        return self.predict(hidden), state


class Neural:
    """A recurrent model of some documents.

    Args:
      documents: Token numbers.
      size: Of the vocabulary.
      seed: Of its first weights and the order of training.
    """

    def __init__(self, documents: Sequence[np.ndarray], size: int, seed: int) -> None:
        """Trains."""
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        tokens = np.concatenate(documents)
        counts = np.bincount(tokens, minlength=size).astype(float)
        self._words = np.sort(np.argsort(-counts, kind="stable")[:FREQUENT])
        self._words = np.union1d(self._words, [BEGIN, END])
        self._rest = len(self._words)
        self._class = np.full(size, self._rest)
        self._class[self._words] = np.arange(self._rest)
        share = np.where(self._class == self._rest, np.maximum(counts, UNSEEN), 0)
        self._share = share / share.sum()
        seen = np.where(counts > 0, self._share, 0)
        self._seen = seen / seen.sum()
        self._network = _Network(self._rest + 1)
        self._train(self._stream(documents))

    def _stream(self, documents: Sequence[np.ndarray]) -> torch.Tensor:
        """Returns the classes of all tokens, with a beginning between documents."""
        parts = [np.concatenate([[BEGIN], document, [END]]) for document in documents]
        return torch.from_numpy(self._class[np.concatenate(parts).astype(np.int64)])

    def _train(self, stream: torch.Tensor) -> None:
        columns = (len(stream) - 1) // BATCH
        tokens = stream[: BATCH * columns].view(BATCH, columns)
        target = stream[1 : BATCH * columns + 1].view(BATCH, columns)
        starts = range(0, columns, STEPS)
        optimiser = torch.optim.Adam(self._network.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, RATE, total_steps=EPOCHS * len(starts)
        )
        for _ in range(EPOCHS):
            state = None
            for start in starts:
                part = slice(start, start + STEPS)
                said, state = self._network(tokens[:, part], state)
                state = state.detach()
                loss = nn.functional.cross_entropy(
                    said.flatten(0, 1), target[:, part].flatten()
                )
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
                optimiser.step()
                schedule.step()

    @torch.no_grad()
    def log_probabilities(self, documents: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the log-probability of each token, ends of documents included."""
        found = []
        for document in documents:
            stream = self._stream([document])[None]
            said, _ = self._network(stream[:, :-1])
            loss = nn.functional.cross_entropy(said[0], stream[0, 1:], reduction="none")
            words = np.append(document, END)
            within = np.where(self._class[words] == self._rest, self._share[words], 1.0)
            found.append(np.log(within) - loss.numpy())
        return np.concatenate(found)

    def sample(self, tokens: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Returns documents at temperature 1, with at least so many tokens in all."""
        documents: list[np.ndarray] = []
        while sum(map(len, documents)) < tokens:
            documents += self._sample_some(rng)
        return documents

    @torch.no_grad()
    def _sample_some(self, rng: np.random.Generator) -> list[np.ndarray]:
        written = np.full((TOGETHER, LONGEST), END, np.int64)
        rows = np.arange(TOGETHER)
        last = np.full(TOGETHER, self._class[BEGIN])
        state, rest = None, np.cumsum(self._seen)
        for place in range(LONGEST):
            said, state = self._network(torch.from_numpy(last)[:, None], state)
            reach = torch.softmax(said[:, 0], 1).cumsum(1).numpy()
            last = (reach < rng.random((len(rows), 1)) * reach[:, -1:]).sum(axis=1)
            rare = np.searchsorted(rest, rng.random(len(rows)) * rest[-1], "right")
            common = self._words[np.minimum(last, self._rest - 1)]
            word = np.where(last == self._rest, rare, common)
            # A beginning within a document is its end.
            going = (word != END) & (word != BEGIN)
            rows, last, state = rows[going], last[going], state[:, going]
            if not len(rows):
                break
            written[rows, place] = word[going]
        lengths = (written != END).sum(axis=1)
        found = zip(written, lengths.tolist(), strict=True)
        return [row[:length] for row, length in found if length >= SHORTEST]
