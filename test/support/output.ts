/** What a process writes, kept as it comes. */

export interface Collected {
  /** All of it so far. */
  text(): string;
  /** Resolves at its end. */
  readonly whole: Promise<string>;
  /** Resolves with the text so far as soon as `matches` holds, or at its end. */
  until(matches: (text: string) => boolean): Promise<string>;
}

export interface Collector extends Collected {
  push(bytes: Uint8Array): void;
  end(): void;
}

export function createCollector(): Collector {
  const decoder = new TextDecoder();
  const whole = Promise.withResolvers<string>();
  let text = '';
  let ended = false;
  const waiting: (() => void)[] = [];

  function wake(): void {
    for (const resume of waiting.splice(0)) resume();
  }

  return {
    text: () => text,
    whole: whole.promise,
    async until(matches) {
      while (!matches(text) && !ended) await new Promise<void>((resume) => waiting.push(resume));
      return text;
    },
    push(bytes) {
      text += decoder.decode(bytes, { stream: true });
      wake();
    },
    end() {
      ended = true;
      whole.resolve(text);
      wake();
    },
  };
}

/** Reads a stream to its end. */
export function collect(stream: ReadableStream<Uint8Array>): Collected {
  const collector = createCollector();
  async function read(): Promise<void> {
    for await (const chunk of stream) collector.push(chunk);
  }
  void read().finally(collector.end);
  return collector;
}

/** The first line, without its end; null when there is none. */
export async function firstLine(output: Collected): Promise<string | null> {
  const text = await output.until((soFar) => soFar.includes('\n'));
  return text.includes('\n') ? text.slice(0, text.indexOf('\n')) : null;
}
