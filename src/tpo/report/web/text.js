// Texts of models and data sets: shown as they are, every character that could steer the page made visible.

const AT_ONCE = 6000;

// Controls, formats (writing direction among them), lone surrogates, private use, breaks other than a line feed.
const STEERING = /([\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}])\1*/gu;
const HARMLESS = new Set(["\n", "\t", "\u200c", "\u200d"]);

// What a text is made of: plain strings, and marks in place of steering characters.
function pieces(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(STEERING)) {
    const character = match[1];
    if (HARMLESS.has(character)) continue;
    if (character === "\r" && text[match.index + match[0].length] === "\n" && match[0].length === 1) {
      found.push(text.slice(end, match.index));
    } else {
      found.push(text.slice(end, match.index), mark(character, match[0].length / character.length));
    }
    end = match.index + match[0].length;
  }
  found.push(text.slice(end));
  return found.filter((piece) => piece !== "");
}

function mark(character, times) {
  const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return h("span", { class: "mark", title: "a character that would not be seen" }, times > 1 ? `U+${code} ×${times}` : `U+${code}`);
}

// A short text inside a line, cut off from the writing direction around it.
function inline(text) {
  return h("bdi", null, pieces(text));
}

// A long text as a block of its own; a very long one at first in part.
function shown(text, attributes) {
  const block = h("div", { dir: "auto", ...attributes, class: `text ${attributes?.class ?? ""}` });
  if (text === "") return fill(block, h("span", { class: "faint" }, "(empty)"));
  if (text.length <= AT_ONCE + 500) return fill(block, pieces(text));
  const rest = h(
    "button",
    { type: "button", class: "more", onclick: () => fill(block, pieces(text)) },
    `Show all ${whole(text.length)} characters`,
  );
  return fill(block, pieces(cut(text, AT_ONCE)), " … ", rest);
}

// Not through the middle of a character.
function cut(text, length) {
  const code = text.charCodeAt(length - 1);
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? length - 1 : length);
}
