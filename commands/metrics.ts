import { createServer } from 'node:http';
import { isIP } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import { Fault } from '../core/fault.ts';
import { interruptible, untilAborted } from '../core/interrupts.ts';
import type { Reporter } from '../core/report.ts';
import { messageOf } from '../core/text.ts';
import { type Connection, connect } from '../database/connection.ts';
import type { Target } from '../database/target.ts';
import {
  AzureMonitor,
  type Collector,
  databaseCollectors,
  describeProblem,
  type Scrape,
  scrape,
} from '../runtime/monitoring/index.ts';
import { lastEnvironment, type TargetOptions, withTarget } from './common/options.ts';
import { looking, print, printJson, targetOf } from './common/target.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Options extends TargetOptions {
  readonly listen?: Address;
  readonly azureRegion?: string;
  readonly resourceId?: string;
}

export function register(program: Command): void {
  withTarget(program.command('metrics'))
    .description('print the metrics of the database and of Azure as Prometheus reads them, or serve them')
    .option('--listen <address>', 'serve /metrics until Ctrl-C: PORT of 127.0.0.1, or HOST:PORT', address)
    .option(
      '--azure-region <region>',
      'read Azure Monitor too (role Monitoring Reader), in the region of the server',
    )
    .option('--resource-id <id>', "resource id of the server in Azure; default: the deployment's primary")
    .addHelpText('after', `\nExample: llama-db metrics ${lastEnvironment} --listen 9187`)
    .action((environment: string | undefined, options: Options) =>
      interruptible(async (signal) => {
        const reporter: Reporter = {
          line: (text) => void process.stderr.write(`${text}\n`),
          warn: (text) => void process.stderr.write(`Note: ${text}\n`),
        };
        const target = await looking(() => targetOf(environment, options));
        const azure = azureCollectors(target, options);
        const read = () => readOnce(target, azure, reporter);
        if (options.listen) return serve(read, options.listen, { options, reporter, signal });
        const { text } = await read();
        if (options.json) printJson({ metrics: text });
        else print(text);
      }),
    );
}

function azureCollectors(target: Target, { azureRegion, resourceId }: Options): readonly Collector[] {
  if (azureRegion === undefined) return [];
  const id = resourceId ?? target.deployment?.primary.id;
  if (id !== undefined) return new AzureMonitor({ resourceId: id, region: azureRegion }).collectors;
  throw new Fault(
    'metrics/no-resource-id',
    'Azure Monitor cannot be read',
    'a URL does not name the server in Azure',
    'Give --resource-id, or an environment instead of --url.',
    { exitCode: 2 },
  );
}

/** Reads all metrics on a connection of its own: after a failover the next reading reaches the new server. */
async function readOnce(target: Target, azure: readonly Collector[], reporter: Reporter): Promise<Scrape> {
  let opening: Promise<Connection> | undefined;
  const open = async () => {
    const connection = await connect(target, {
      ...{ applicationName: 'llama-db metrics', session: 'reading', acceptStandby: true },
      ...{ attempts: 1, connectTimeoutSeconds: 5 },
    });
    await connection.client.query("SET statement_timeout = '5s'");
    return connection;
  };
  const query = async (text: string) => {
    opening ??= open();
    return (await opening).client.query(text);
  };
  try {
    return await scrape([...databaseCollectors({ query }), ...azure], {
      onProblem: (problem) => reporter.warn(describeProblem(problem)),
    });
  } finally {
    await opening?.then((connection) => connection.close()).catch(() => undefined);
  }
}

async function serve(
  read: () => Promise<Scrape>,
  { host, port }: Address,
  { options, reporter, signal }: { options: Options; reporter: Reporter; signal: AbortSignal },
): Promise<void> {
  // Scrapers that come at once share one reading.
  let reading: Promise<Scrape> | undefined;
  const server = createServer(async (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return void response.writeHead(405).end();
    if (request.url?.split('?')[0] !== '/metrics') return void response.writeHead(404).end('See /metrics\n');
    try {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      const { contentType, text } = await reading;
      response.writeHead(200, { 'content-type': contentType }).end(text);
    } catch (error) {
      reporter.warn(messageOf(error));
      response.writeHead(500).end('The metrics could not be read.\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(`${host}:${port}`, error)));
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  const url = `http://${host}:${typeof bound === 'object' ? bound?.port : port}/metrics`;
  if (options.json) printJson({ url });
  else print(`Metrics: ${url}. Ctrl-C ends it.\n`);
  await untilAborted(signal);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function cannotListen(where: string, cause: Error): Fault {
  return new Fault(
    'metrics/cannot-listen',
    `The metrics cannot be served on ${where}`,
    messageOf(cause),
    'Give another port with --listen.',
    { exitCode: 2, cause },
  );
}

/** @throws InvalidArgumentError unless it is a port, or an address of this machine and a port */
function address(text: string): Address {
  const [, host = '127.0.0.1', digits = ''] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  const port = Number(digits);
  if (digits !== '' && port <= 65_535 && (isIP(bare) !== 0 || bare === 'localhost'))
    return { host: bare, port };
  throw new InvalidArgumentError('It must be PORT or IP:PORT.');
}
