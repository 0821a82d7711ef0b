// Texts of models and data sets, with every character that could affect the page made visible.

const AT_ONCE = 6000;

// Control and format characters (including writing direction), lone surrogates, private use, line breaks other than a line feed.
const STEERING = /([\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}])\1*/gu;
const HARMLESS = new Set(["\n", "\t", "\u200c", "\u200d"]);

// Pieces of a text: plain strings, and marks in place of control characters.
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

// Short inline text, isolated from the surrounding writing direction.
function inline(text) {
  return h("bdi", null, pieces(text));
}

// Long text as a block; a very long one is truncated at first.
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

// Do not split a surrogate pair.
function cut(text, length) {
  const code = text.charCodeAt(length - 1);
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? length - 1 : length);
}
