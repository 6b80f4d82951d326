// The heads of one answer: interim ones (1xx) do not survive a Worker and are passed over.
import { readAnswerHead, type AnswerHead } from "./head.ts";
import { MessageParser } from "./llhttp.ts";

/** parser: has read the head, up to parser.end, and belongs to who asked now. */
export type ReadAnswer =
  | { readonly kind: "incomplete" }
  | { readonly kind: "broken"; readonly why: string }
  | { readonly kind: "read"; readonly answer: AnswerHead; readonly parser: MessageParser };

export class AnswerReader {
  #parser: MessageParser | null = null;
  #interim = 0;
  /** Whether a byte of it has come. */
  begun = false;

  read(bytes: Buffer, headBytesMax: number, interimAnswersMax: number): ReadAnswer {
    this.begun = true;
    const parser = (this.#parser ??= MessageParser.take("answer"));
    for (let from = 0; ; from = parser.end) {
      const answer = readAnswerHead(parser, bytes, from, headBytesMax);
      if (answer.kind === "incomplete") return answer;
      if (answer.kind === "malformed")
        return { kind: "broken", why: `the app's answer is malformed: ${answer.message}` };
      if (answer.status === 101 || answer.status >= 200) {
        this.#parser = null;
        return { kind: "read", answer, parser };
      }
      if (++this.#interim > interimAnswersMax) return { kind: "broken", why: "the app sent interim answers only" };
      parser.reset();
    }
  }

  /** Nobody reads on. */
  drop(): void {
    this.#parser?.release();
    this.#parser = null;
  }
}
