// Waiting with a limit; the one way to wait for what another request of the isolate began, which may never settle.

/** Null: it took longer. The work goes on. */
export async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  // By a promise of this request in between: its timer must be able to end the wait while another's word is on its way to it.
  const own = promise.then((value) => value);
  try {
    return await Promise.race([own, late]);
  } finally {
    clearTimeout(timer);
  }
}
