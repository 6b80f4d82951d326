// Calls the control Worker's schedule once a minute, as Cloudflare's cron does: on the minute, one call at a time.

const MINUTE_MS = 60_000;
const ANSWER_WITHIN_MS = 50_000;

export interface Clock {
  stop(): void;
}

/** A minute that fails is not made up for: whatever it would have done, the next one does. */
export function startClock(url: string, log: (line: string) => void): Clock {
  let timer: NodeJS.Timeout;
  const wait = () => {
    timer = setTimeout(() => void tick(), MINUTE_MS - (Date.now() % MINUTE_MS));
  };
  const tick = async (): Promise<void> => {
    try {
      const answer = await fetch(url, { method: "POST", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      await answer.body?.cancel();
      if (!answer.ok) log(`the minute's sweep was answered with ${answer.status}`);
    } catch (error) {
      log(`the minute's sweep failed: ${(error as Error).message}`);
    }
    wait();
  };
  wait();
  return { stop: () => clearTimeout(timer) };
}
