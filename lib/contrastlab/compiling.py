"""torch.compile for an encoder, with a message that helps where it cannot work."""

from torch import Tensor, compile, nn, ones


class CompilerMissing(RuntimeError):
    """torch.compile does not work on this machine; the message says why."""


def compiled(encoder: nn.Module) -> nn.Module:
    """The encoder as torch.compile makes it, with the same parameters; it is compiled when it is first used.

    Raises CompilerMissing where PyTorch cannot compile here, which it would only tell in the midst of training.
    """
    try:
        compile(_probe)(ones(2))
    except Exception as error:  # of many types: no compiler, no headers, an unsupported Python
        raise CompilerMissing(
            f"torch.compile does not work here: {_first_line(error)} It needs a C++ compiler and Python's headers "
            "(on Debian and Ubuntu: apt install g++ python3-dev). Or train without it."
        ) from error
    return compile(encoder)


def _probe(x: Tensor) -> Tensor:
    return x.sin() + 1


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."
