// What is said of an agent that was started again.

export function restartedText(running: number, silentForMs: number): string {
  const after = Number.isFinite(silentForMs) ? ` after ${Math.round(silentForMs / 100) / 10} s` : "";
  return `the agent was started again${after}; it found ${running} instances running`;
}
