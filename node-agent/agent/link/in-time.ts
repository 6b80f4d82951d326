// Waiting for an answer for so long, without breaking off what was asked.

/** Throws where it is not answered by then; what comes later is still taken. */
export async function inTime(answered: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  // Nobody waits for the one that loses.
  answered.catch(() => {});
  try {
    await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}
