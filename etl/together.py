"""The layers of a delivery judged beside each other, once all are staged.

No order of layers: the rules of one step see the same rows in every layer, and refused rows leave
only when all have been judged. A row that names nothing goes first, and what named that row next,
until nothing more goes; networks are judged on what is left. Warnings are told of what is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from etl.arrays import StagedLayer
from etl.checks.finding import Rule, Severity
from etl.checks.rules import Scope
from etl.findings import keep_findings, require_rows
from etl.judge import judge_pairs, judge_references, settle
from etl.layer_work import Context, LayerWork
from etl.measure import Judged, measure_check_points, measure_offsets

At = Callable[[LayerWork], AbstractContextManager[None]]
"""Entered while a layer is judged: whose time it is, and whose refusal."""


def compare(context: Context, works: Sequence[LayerWork], at: At) -> None:
    """Judge all staged layers beside the others and those that are loaded.

    Raises LoadBlocked or LoadFailed of the layer that `at` was entered with last.
    """
    delivered = {w.definition.name: w.staged(w.staging) for w in works if w.staging is not None}
    own = [w for w in works if w.definition.name in delivered and w.tally.counts["read"]]
    together = _Together(context, own, delivered, at)
    together.references_refused(None)
    lost = together.step(
        lambda _work, layer: judge_pairs(
            context.work, layer, delivered, context.known, context.delivery.bureau
        )
    )
    together.references_refused(lost)
    together.step(
        lambda _work, layer: together.references(
            layer, [rule for rule in _references(layer) if rule.severity is Severity.WARN]
        )
    )
    together.step(lambda work, layer: _measured(context, work, layer, delivered))


class _Together:
    """Steps over all layers, each on one state of them."""

    def __init__(
        self,
        context: Context,
        works: Sequence[LayerWork],
        delivered: Mapping[str, StagedLayer],
        at: At,
    ) -> None:
        self.context, self.works, self.delivered, self.at = context, works, delivered, at

    def step(self, judge: Callable[[LayerWork, StagedLayer], Judged]) -> set[str]:
        """Judge every layer, then take out what is refused; the layers that lost rows."""
        found: list[tuple[LayerWork, StagedLayer, Judged]] = []
        for work in self.works:
            with self.at(work):
                layer = self.delivered[work.definition.name]
                found.append((work, layer, judge(work, layer)))
        lost = set()
        for work, layer, judged in found:
            with self.at(work):
                work.tally.notes += [n for n in judged.notes if n not in work.tally.notes]
                work.tally.measures += judged.measures
                keep_findings(self.context, work, judged.rejections)
                if settle(self.context.work, layer.staging, judged.rejections):
                    lost.add(work.definition.name)
        for work, layer, judged in found:
            if judged.rejections:
                with self.at(work):
                    require_rows(self.context, work, layer.staging)
        return lost

    def references(self, layer: StagedLayer, rules: Sequence[Rule]) -> Judged:
        """Findings of reference rules."""
        context = self.context
        return judge_references(
            context.work, layer, self.delivered, context.known, context.delivery.bureau, rules
        )

    def references_refused(self, lost: set[str] | None) -> None:
        """Refuse rows that name nothing, until none does; None: not yet judged, whatever went."""
        while lost is None or lost:
            before = lost

            def dangling(
                _work: LayerWork, layer: StagedLayer, before: set[str] | None = before
            ) -> Judged:
                rules = [
                    rule
                    for rule in _references(layer)
                    if rule.severity is not Severity.WARN
                    and (before is None or str(rule.parameters["to"]) in before)
                ]
                return self.references(layer, rules)

            lost = self.step(dangling)


def _references(layer: StagedLayer) -> list[Rule]:
    return [rule for rule in layer.book.of_scope(Scope.DELIVERY) if rule.name == "reference"]


def _measured(
    context: Context,
    work: LayerWork,
    layer: StagedLayer,
    delivered: Mapping[str, StagedLayer],
) -> Judged:
    """Offsets to neighbours, and the RMSE at check points."""
    found = measure_offsets(context.work, layer, delivered, context.known, context.delivery.bureau)
    for load in work.loads:
        if load.check_points is None:
            continue
        required, waiver = work.definition.required_accuracy_m, load.accept_accuracy
        allowed = required if waiver is None else max(waiver.metres, required or 0.0)
        more = measure_check_points(
            context.work, layer, load.check_points, context.registry, allowed
        )
        found.rejections += more.rejections
        found.measures += more.measures
        found.notes += more.notes
    return found
