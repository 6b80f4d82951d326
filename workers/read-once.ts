// Settings are texts that stay as they are for as long as an isolate lives, and every request asks what they mean.

/** `read`, which is not asked again as long as the text is the same as the last time. It must be pure, and its answer not be changed. */
export function readOnce<Value>(read: (text: string) => Value): (text: string) => Value {
  let last: { readonly text: string; readonly value: Value } | null = null;
  return (text) => {
    if (last?.text !== text) last = { text, value: read(text) };
    return last.value;
  };
}
