// The answer to ListObjectsV2, as far as it is needed: the keys.
import { XMLParser } from "fast-xml-parser";
import { z } from "zod";

const Entry = z.object({ Key: z.string() });
/** An empty list has no Contents, a list of one has no array around it. */
const Listed = z.object({
  ListBucketResult: z.union([
    z.object({ Contents: z.union([z.array(Entry), Entry.transform((one) => [one])]).default([]) }),
    z.literal("").transform(() => ({ Contents: [] })),
  ]),
});

export function keysOf(xml: string): string[] {
  const parsed: unknown = new XMLParser({ parseTagValue: false }).parse(xml);
  return Listed.parse(parsed).ListBucketResult.Contents.map(({ Key }) => Key);
}
