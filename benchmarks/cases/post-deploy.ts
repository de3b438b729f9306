/** The seconds of the post-deploy command, process included: on an empty database, and again with nothing to do. */
import { type Benchmark, median } from '../benchmark.ts';
import { onServer, secondsOfCommand, versionOf } from '../subject.ts';

export const benchmark: Benchmark = {
  name: 'post-deploy',
  description: 'seconds of llama-db post-deploy on an empty database, and with nothing to do',
  rounds: 5,
  run: ({ rounds, log }) =>
    onServer({}, async (server) => {
      const seconds = { empty: [] as number[], nothing: [] as number[] };
      for (let round = 1; round <= rounds; round += 1) {
        const database = `bench_${round}`;
        await server.createDatabase(database);
        const url = server.url('migrator', { database });
        for (const kind of ['empty', 'nothing'] as const)
          seconds[kind].push(await secondsOfCommand(['post-deploy', '--url', url]));
        log(
          `round ${round}: ${seconds.empty.at(-1)?.toFixed(2)} s, then ${seconds.nothing.at(-1)?.toFixed(2)} s`,
        );
      }
      return {
        serverVersion: await versionOf(server),
        figures: {
          'empty server': { value: median(seconds.empty), unit: 's' },
          'nothing to do': { value: median(seconds.nothing), unit: 's' },
        },
      };
    }),
};
