// How the benchmark's visitors read the answers of its image.
import { readAnswer } from "../deploy/image.ts";

export function readSeen(body: string): { instance: string; version: string } | null {
  const answer = readAnswer(body);
  return answer === null ? null : { instance: answer.instance, version: `v${answer.version}` };
}
