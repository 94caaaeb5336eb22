"""Functions and couplers of an .osim document."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from d3ke_lib.body.opensim.functions import (
    Function,
    constant,
    linear,
    multiplied,
    piecewise_linear,
    polynomial,
    simm_spline,
)
from d3ke_lib.body.opensim.model import Coupler, OsimError
from d3ke_lib.body.opensim.xml import flag, floats, text

COUPLER = "CoordinateCouplerConstraint"
_FUNCTIONS = {
    "Constant": lambda e, p: constant(floats(e, "value", p, 1, "0")[0]),
    "LinearFunction": lambda e, p: linear(*floats(e, "coefficients", p, 2)),
    "PolynomialFunction": lambda e, p: polynomial(floats(e, "coefficients", p)),
    "SimmSpline": lambda e, p: simm_spline(floats(e, "x", p), floats(e, "y", p)),
    "NaturalCubicSpline": lambda e, p: simm_spline(floats(e, "x", p), floats(e, "y", p)),
    "natCubicSpline": lambda e, p: simm_spline(floats(e, "x", p), floats(e, "y", p)),
    "PiecewiseLinearFunction": lambda e, p: piecewise_linear(floats(e, "x", p), floats(e, "y", p)),
}
_DEEPEST = 8  # MultiplierFunctions within each other


def read_function(element: Element, owner: str, path: Path) -> tuple[str, Function] | None:
    """Tag and function of an axis or coupler, None where it has none; unknown ones raise OsimError."""
    found = list(_functions(element))
    if len(found) > 1:
        raise OsimError(f"{path}: {owner}: expected one function, found {[e.tag for e in found]}")
    return (found[0].tag, _function(found[0], owner, path)) if found else None


def _functions(element: Element) -> Iterator[Element]:
    """Directly below the element, or wrapped as versions before 4 write it."""
    for child in element:
        if child.tag in _FUNCTIONS or child.tag.endswith(("Function", "Spline")):
            yield child
        elif child.tag in ("function", "coupled_coordinates_function"):
            yield from child


def _function(element: Element, owner: str, path: Path, depth: int = 0) -> Function:
    if element.tag == "MultiplierFunction":
        inner = next(_functions(element), None)
        if inner is None or depth > _DEEPEST:
            raise OsimError(f"{path}: {owner}: a MultiplierFunction without a function")
        factor = floats(element, "scale", path, 1, "1")[0]
        return multiplied(_function(inner, owner, path, depth + 1), factor)
    if element.tag not in _FUNCTIONS:
        known = ", ".join([*_FUNCTIONS, "MultiplierFunction"])
        raise OsimError(f"{path}: {owner}: function {element.tag} is not modelled; known: {known}")
    try:
        return _FUNCTIONS[element.tag](element, path)
    except OsimError:
        raise
    except ValueError as error:
        raise OsimError(f"{path}: {owner}: {element.tag}: {error}") from error


def read_coupler(element: Element, path: Path) -> Coupler:
    """A <CoordinateCouplerConstraint>; raises OsimError for several independent coordinates."""
    name = element.get("name", "")
    independent = text(element, "independent_coordinate_names", path).split()
    if len(independent) != 1:
        raise OsimError(f"{path}: coupler {name!r} has independent coordinates {independent}, expected one")
    found = read_function(element, f"coupler {name!r}", path)
    if found is None:
        raise OsimError(f"{path}: coupler {name!r} has no function")
    scale = floats(element, "scale_factor", path, 1, "1")[0]
    return Coupler(
        name=name,
        dependent=text(element, "dependent_coordinate_name", path),
        independent=independent[0],
        function=found[1] if scale == 1.0 else multiplied(found[1], scale),
        enforced=flag(element, "isEnforced", path, "true"),
    )
