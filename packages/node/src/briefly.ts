const keepMs = 5000;
const most = 1000;

/**
 * Remembers what a function of the machine's state gave for some seconds: the tasks of an array ask the same thousands of
 * times, and what they ask about (directories, mount points) does not change between two of them.
 */
export function briefly<T>(ask: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  let since = 0;
  return (key) => {
    const now = performance.now();
    if (now - since > keepMs || known.size > most) {
      known.clear();
      since = now;
    }
    if (known.has(key)) return known.get(key)!;
    const value = ask(key);
    known.set(key, value);
    return value;
  };
}
