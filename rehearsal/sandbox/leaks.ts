/** Searches everything that a rehearsal's deployments left for secrets. */
import { privateParts } from '../../local/azure/providers/key-vault/data.ts';
import type { BlobVersion } from '../../local/azure/providers/storage-blobs.ts';
import type { Leak, Secrets } from './secrets.ts';
import type { Testbed } from './testbed.ts';

/** The output of one run of a program. */
export interface Output {
  readonly name: string;
  readonly run: { readonly output: string };
}

type Searched = readonly [where: string, content: string | Buffer];

export class LeakSearch {
  readonly #secrets: Secrets;
  /** Leaks in output and in versions of blobs. Neither changes afterwards, so each is searched once. */
  readonly #lasting: Leak[] = [];
  readonly #outputs = new WeakSet<Output>();
  #outputNumber = 0;
  /** Number of searched versions, by blob. */
  readonly #versions = new Map<string, number>();

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
  }

  /**
   * Searches files, every version of each blob and its metadata, output of programs, and the log of every server,
   * including deleted ones.
   *
   * @param outputs may leave out what an earlier search was given
   * @returns the leaks of this search, and those that earlier ones found in output and versions
   */
  async search(testbed: Testbed, outputs: readonly Output[]): Promise<readonly Leak[]> {
    const { azure, project, logs } = testbed;
    this.#addKeys(testbed);
    const find = (searched: readonly Searched[]) =>
      searched.flatMap(([where, content]) => this.#secrets.search(where, content));
    this.#lasting.push(...find([...this.#newVersions(testbed), ...this.#newOutputs(outputs)]));
    const present = find([
      ...(await project.artefacts()),
      ...azure.blobs.list().flatMap(([name, blob]) => contentsOf(`blob ${name}`, blob)),
      ...logs.map(([server, log]) => [`the log of ${server}`, log] as const),
      ['the operations of the local Azure', JSON.stringify(azure.operations)],
    ]);
    return [...present, ...this.#lasting];
  }

  #addKeys({ azure }: Testbed): void {
    for (const [id, key] of azure.sharedKeys) this.#secrets.add(`the shared key of ${id}`, key);
    for (const [id, pem] of privateParts(azure.azure)) {
      // However the PEM text is wrapped, some of its lines survive unchanged.
      const lines = pem.split('\n').filter((line) => !line.startsWith('-') && line.length > 40);
      for (const [index, line] of lines.entries())
        this.#secrets.add(`line ${index + 1} of the private part of key ${id}`, line);
    }
  }

  #newVersions({ azure }: Testbed): Searched[] {
    return azure.blobs.versions().flatMap(([name, all]) => {
      const from = this.#versions.get(name) ?? 0;
      this.#versions.set(name, all.length);
      return all
        .slice(from)
        .flatMap((version, index) => contentsOf(`version ${from + index + 1} of blob ${name}`, version));
    });
  }

  #newOutputs(outputs: readonly Output[]): Searched[] {
    return outputs.flatMap((output): Searched[] => {
      if (this.#outputs.has(output)) return [];
      this.#outputs.add(output);
      this.#outputNumber += 1;
      return [[`the output of ${output.name} (${this.#outputNumber})`, output.run.output]];
    });
  }
}

function contentsOf(where: string, { content, metadata }: BlobVersion): Searched[] {
  return [
    [where, content],
    [`metadata of ${where}`, JSON.stringify(metadata)],
  ];
}
