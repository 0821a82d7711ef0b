// Word difference between two texts.

const PATIENCE = 400; // milliseconds
const LONGEST = 60000; // characters of both texts together, beyond which words are not matched

function difference(before, after) {
  const parts = before.length + after.length > LONGEST ? undefined : Diff.diffWordsWithSpace(before, after, { timeout: PATIENCE });
  if (parts === undefined) return [h("p", { class: "faint" }, "The texts are too long to compare word by word."), shown(after)];
  if (parts.every((part) => !part.added && !part.removed)) return [h("p", { class: "faint" }, "No change."), shown(after)];
  return h(
    "div",
    { class: "text difference", dir: "auto" },
    parts.map((part) => (part.added ? h("ins", null, pieces(part.value)) : part.removed ? h("del", null, pieces(part.value)) : pieces(part.value))),
  );
}
