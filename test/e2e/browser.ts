// A real browser for the platform's pages: Debian's Chromium, with scripts off, because the pages are to need none.
import { chromium, type Page } from "playwright-core";

export interface Pages {
  newPage(): Promise<Page>;
  /** What the browser refused to load or run, in its own words. */
  faults(): readonly string[];
  close(): Promise<void>;
}

/** A browser takes seconds to start on a busy machine, and a page some more. */
const PATIENCE_MS = 120_000;
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"];

export async function openPages(): Promise<Pages> {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS, timeout: PATIENCE_MS });
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
  context.setDefaultTimeout(PATIENCE_MS);
  const faults: string[] = [];
  context.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) faults.push(message.text());
  });
  return { newPage: () => context.newPage(), faults: () => faults, close: () => browser.close() };
}
