"""Writes one small network for the tests: make_fixtures.py <kind> <output file>.

kind is the name of a function below. Exit status 3: this Python has no torch.
"""

import os
import sys
import tempfile

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit(3)


def network():
    torch.manual_seed(11)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 4, 1),
    ).eval()


class Dictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return {"out": self.inner(x), "aux": x}


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return self.inner(x), x


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return self.inner(x).mean(dim=(2, 3))


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return [self.inner(x), x]


class Logits(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return {"logits": self.inner(x)}


class Viewing(nn.Module):
    """Views a feature map, which channels-last memory does not allow."""

    def __init__(self):
        super().__init__()
        self.inner = network()
        self.gate = nn.Linear(4 * 16, 4)

    def forward(self, x):
        x = self.inner(x)
        g = nn.functional.adaptive_avg_pool2d(x, 4)
        return x * self.gate(g.view(g.size(0), -1)).sigmoid()[:, :, None, None]


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return "labels"


def script(path):
    torch.jit.script(network()).save(path)


def trace(path):
    torch.jit.trace(network(), torch.zeros(1, 3, 32, 64)).save(path)


def frozen(path):
    torch.jit.freeze(torch.jit.script(network())).save(path)


def untrainable(path):
    torch.jit.script(network().requires_grad_(False)).save(path)


def double(path):
    torch.jit.script(network().double()).save(path)


def dictionary(path):
    torch.jit.script(Dictionary()).save(path)


def pair(path):
    torch.jit.script(Pair()).save(path)


def listed(path):
    torch.jit.script(Listed()).save(path)


def logits(path):
    torch.jit.script(Logits()).save(path)


def viewing(path):
    torch.jit.script(Viewing()).save(path)


def one_channel(*last):
    torch.manual_seed(12)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1), *last
    ).eval()


def binary(path):
    torch.jit.script(one_channel()).save(path)


def sigmoid(path):
    torch.jit.script(one_channel(nn.Sigmoid())).save(path)


def one_picture(path):
    """The trace keeps the number of pictures of its example."""

    class Reshaping(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            x = self.inner(x)
            return x.reshape(int(x.shape[0]), 4, 16, 32)

    torch.jit.trace(Reshaping().eval(), torch.zeros(1, 3, 32, 64)).save(path)


def eval_only(path):
    class EvalOnly(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            assert not self.training, "there are no targets"
            return self.inner(x)

    torch.jit.script(EvalOnly().eval()).save(path)


def not_a_number(path):
    module = network()
    module[3].bias.data[1] = float("nan")
    torch.jit.script(module).save(path)


def mean(path):
    torch.jit.script(Mean()).save(path)


def text(path):
    torch.jit.script(Text()).save(path)


def package(path):
    """Compiles in a cache folder of its own: tests make the same package beside each other."""
    exported = torch.export.export(network(), (torch.zeros(1, 3, 32, 64),))
    options = {}
    if hasattr(torch._inductor.config.aot_inductor, "precompile_headers"):
        options["aot_inductor.precompile_headers"] = False  # they are shared; older torch has none
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        torch._inductor.aoti_compile_and_package(
            exported, package_path=path, inductor_configs=options
        )


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
