/** Paths of object keys that occur twice in valid JSON text, as `data.a` or `spec.list[0].x`. */
export function duplicateKeys(text: string): string[] {
  const found: string[] = [];
  let position = 0;
  const space = (): void => {
    while (position < text.length && text.charCodeAt(position) <= 32) position++;
  };
  const string = (): string => {
    const start = position++;
    while (text[position] !== '"') position += text[position] === "\\" ? 2 : 1;
    position++;
    return JSON.parse(text.slice(start, position)) as string;
  };
  const value = (path: string): void => {
    space();
    const character = text[position];
    if (character === "{") {
      position++;
      const keys = new Set<string>();
      for (space(); text[position] !== "}"; space()) {
        if (text[position] === ",") {
          position++;
          continue;
        }
        const key = string();
        const child = path === "" ? key : `${path}.${key}`;
        if (keys.has(key)) found.push(child);
        keys.add(key);
        space();
        position++;
        value(child);
      }
      position++;
    } else if (character === "[") {
      position++;
      let index = 0;
      for (space(); text[position] !== "]"; space()) {
        if (text[position] === ",") {
          position++;
          continue;
        }
        value(`${path}[${index++}]`);
      }
      position++;
    } else if (character === '"') string();
    else while (position < text.length && !/[,\]}\s]/.test(text[position]!)) position++;
  };
  value("");
  return found;
}
