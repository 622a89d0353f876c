"""Rules about what layers there are, and of which shape."""

from __future__ import annotations

from .layers import Layer
from .result import Rule
from .subject import Subject
from .ways import MAX_POOL, OPERATIONS


def operations(subject: Subject) -> list[Rule]:
    """Nothing but convolutions, linear layers, pools and sums of spikes."""
    return _obstacles(subject, OPERATIONS, "convolutions, linear layers, average pools")


def max_pools(subject: Subject) -> list[Rule]:
    """None: they are no sums of events."""
    return _obstacles(subject, MAX_POOL, "none")


def _obstacles(subject: Subject, kind: str, limit: str) -> list[Rule]:
    found = [
        Rule(kind, obstacle.node.where, obstacle.what, limit, False, obstacle.remedy)
        for obstacle in subject.layout.obstacles
        if obstacle.kind == kind
    ]
    return found or [Rule(kind, "", "no others" if kind == OPERATIONS else "none", limit, True)]


def sums(subject: Subject) -> list[Rule]:
    """One layer of synapses before one layer of neurons: a core has one kernel."""
    most = subject.target.synapses

    def judge(layer: Layer) -> tuple[str, bool]:
        count = len(layer.synapses) + len(layer.factors)
        return f"{count} layer{'s' * (count > 1)} of synapses", count <= most

    remedy = (
        "several layers may send spikes to one core, but all through its one kernel: add spikes before a convolution, "
        "not currents behind two; or write both as one convolution over concatenated channels"
    )
    return subject.each("sums", f"{most} layer of synapses before one of neurons", judge, remedy, "synapses")


def pools(subject: Subject) -> list[Rule]:
    """Squares side by side, of a size that there is, the same on all ways to a layer."""
    allowed = subject.target.pools

    def judge(layer: Layer) -> tuple[str, bool] | None:
        ways = [way for synapses in layer.synapses for way in synapses.ways if way.pools]
        if not ways:
            return None
        sizes, plain = [], True
        for way in ways:
            height, width = 1, 1
            for pool in way.pools:
                height, width, plain = height * pool.sides[0], width * pool.sides[1], plain and pool.plain
            sizes.append((height, width))
        fine = all(h == w and h in allowed for h, w in sizes) and len(set(sizes)) == 1 and plain
        shown = ", ".join(f"{h}x{w}" for h, w in dict.fromkeys(sizes))
        return shown + ("" if plain else ", overlapping, padded or with a rest"), fine

    limit = f"squares of {', '.join(map(str, allowed))} side by side"
    remedy = (
        "use nn.AvgPool2d(2) or (4); a mean over a whole map and the linear layer behind it are one "
        "nn.Linear(channels * height * width, ...) behind nn.Flatten, its weights repeated and divided"
    )
    return subject.each("pools", limit, judge, remedy, "pools")


def kernels(subject: Subject) -> list[Rule]:
    """Squares; a linear layer is a kernel as large as the map that it reads."""
    most = subject.target.kernel

    def judge(layer: Layer) -> tuple[str, bool]:
        sizes = [synapses.kernel for synapses in layer.synapses]
        shown = ", ".join(f"{h}x{w}" for h, w in dict.fromkeys(sizes))
        return shown, all(h == w <= most for h, w in sizes)

    remedy = (
        "use square kernels (zeros may fill them up); before a linear layer make the map smaller with average pools or "
        "strides, and square"
    )
    return subject.each("kernels", f"squares up to {most}x{most}", judge, remedy, "kernel")


def strides(subject: Subject) -> list[Rule]:
    """Of convolutions."""
    allowed = subject.target.strides

    def judge(layer: Layer) -> tuple[str, bool]:
        found = [synapses.stride for synapses in layer.synapses]
        shown = ", ".join(f"{h}" if h == w else f"{h}x{w}" for h, w in dict.fromkeys(found))
        return shown, all(side in allowed for pair in found for side in pair)

    limit = ", ".join(map(str, allowed))
    return subject.each("strides", limit, judge, "use another stride, or an average pool", "strides")


def padding(subject: Subject) -> list[Rule]:
    """Of convolutions."""
    most = subject.target.padding

    def judge(layer: Layer) -> tuple[str, bool]:
        found = [max(synapses.padding) for synapses in layer.synapses]
        return str(max(found)), max(found) <= most

    return subject.each("padding", f"0 to {most}", judge, "use a smaller padding", "padding")


def dilation(subject: Subject) -> list[Rule]:
    """Of convolutions."""
    most = subject.target.dilation

    def judge(layer: Layer) -> tuple[str, bool]:
        found = max(max(synapses.dilation) for synapses in layer.synapses)
        return str(found), found <= most

    return subject.each("dilation", str(most), judge, "use a larger kernel with zeros between its weights", "dilation")


def channels(subject: Subject) -> list[Rule]:
    """That a layer reads and has."""
    most = subject.target.channels

    def judge(layer: Layer) -> tuple[str, bool]:
        found = max(max(synapses.shape[0], synapses.output[0]) for synapses in layer.synapses)
        return str(found), found <= most

    return subject.each("channels", f"{most:,}", judge, "use fewer channels", "channels")


def maps(subject: Subject) -> list[Rule]:
    """Height and width of what a layer reads and of its neurons."""
    read, have = subject.target.input_side, subject.target.output_side

    def judge(layer: Layer) -> tuple[str, bool]:
        (_, h, w), (_, rows, columns) = layer.main.shape, layer.main.output
        return f"{h}x{w} to {rows}x{columns}", max(h, w) <= read and max(rows, columns) <= have

    remedy = "crop or pool the input, or use a stride in the first convolution"
    return subject.each("map sizes", f"{read}x{read} to {have}x{have}", judge, remedy, "output_side")


def destinations(subject: Subject) -> list[Rule]:
    """How many layers read one layer."""
    most = subject.target.destinations
    layout = subject.layout
    places = {layer.name: layer.where for layer in layout.layers} | {node.name: node.where for node in layout.encoders}
    origin, found = subject.target.sources["destinations"], []
    for layer in layout.layers:
        places[layer.neurons.name if layer.neurons is not None else layer.name] = layer.where
    for name, readers in layout.destinations().items():
        count = len(readers)
        passed = count <= most
        remedy = "" if passed else "let fewer layers read it: chain them, or repeat the layer in another core"
        if count:
            place = places.get(name, "the input")
            found.append(Rule("fan-out", place, f"read by {count}", f"{most} layers", passed, remedy, origin))
    return found or [Rule("fan-out", "", "none", f"{most} layers", True, source=origin)]
