"""What the still pictures are made of: numbers as a reader writes them, and parts of an SVG."""


def percent(share: float) -> str:
    """Two digits, and a space that does not break: 0.354 is 35 %."""
    return f"{float(f'{100 * share:.2g}'):g}\u00a0%"


def signed(number: str) -> str:
    """A number that is written already, with the sign minus instead of a hyphen."""
    return number.replace("-", "−")


def rounded(x: float) -> str:
    """Two decimals, with the sign minus."""
    return signed(f"{x:.2f}")


def line(d: str, style: str) -> str:
    """A path that is drawn and not filled; style: further attributes."""
    return f'<path d="{d}" fill="none" stroke="currentColor" {style}/>'


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    """Words at a place; style: further attributes."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{style and f" {style}"}>{words}</text>'
