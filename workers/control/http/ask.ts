// Asking an object from a Worker: a fresh stub at each try, and another try only where it can do no harm.

const TRIES_MAX = 3;
/** A reset object is back within about 100 ms. */
const PAUSE_MS = 40;

/**
 * `call` must take its stub anew. repeatable: reading, or carrying an idempotency key; anything else is tried once, because
 * a lost answer does not say whether there was an effect. What is thrown at last, the error handler knows.
 */
export async function ask<Value>(call: () => Promise<Value>, options: { repeatable: boolean }): Promise<Value> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      const { retryable, overloaded } = (error ?? {}) as { retryable?: boolean; overloaded?: boolean };
      if (!options.repeatable || tries >= TRIES_MAX || retryable !== true || overloaded === true) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * tries * (0.5 + Math.random())));
    }
  }
}

/** Runs `each` over the items, at most `width` at a time, and keeps their order. */
export async function inBatches<Item, Value>(
  items: readonly Item[],
  width: number,
  each: (item: Item) => Promise<Value>,
): Promise<Value[]> {
  const values: Value[] = [];
  for (let at = 0; at < items.length; at += width) {
    values.push(...(await Promise.all(items.slice(at, at + width).map(each))));
  }
  return values;
}
