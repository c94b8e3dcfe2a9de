// What the scheduler says of each node about a pod that is on none. Pure.

/**
 * [{ node, isFeasible, text }] from the scheduler's explanation: nodes that would do first, by
 * their scores, then those that refuse, by their names.
 */
export function verdicts({ nodes }) {
  return Object.entries(nodes)
    .map(([node, { feasible, reasons, scores, total }]) => ({
      node,
      isFeasible: feasible,
      total: total ?? -1,
      text: feasible ? scoreWords(total, scores) : reasons.join(", "),
    }))
    .sort((a, b) => b.total - a.total || a.node.localeCompare(b.node));
}

function scoreWords(total, scores) {
  if (total === null) return "it would do";
  const parts = Object.entries(scores).map(([plugin, score]) => `${plugin} ${score}`);
  return `score ${total}: ${parts.join(", ")}`;
}
