import { type ResourceTypeName, versionsOf } from '../../../azure/resource-types.ts';
import type { AzureRequest, AzureResponse } from './http.ts';

export interface RouteMatch {
  readonly request: AzureRequest;
  /** Values of the template's `{names}`. */
  readonly parameters: Readonly<Record<string, string>>;
}

export type Handler = (match: RouteMatch) => AzureResponse | Promise<AzureResponse>;

interface Route {
  readonly method: string;
  readonly host: RegExp;
  readonly path: RegExp;
  readonly names: readonly string[];
  readonly apiVersions: readonly string[] | undefined;
  readonly query: ReadonlySet<string> | undefined;
  readonly handler: Handler;
}

export interface RouteOptions {
  /** Host the route belongs to; `*` stands for one label. @default 'management.azure.com' */
  readonly host?: string;
  /** Type whose API versions it speaks; another version is an unknown request. @default - the route has no version */
  readonly type?: ResourceTypeName;
  /** Query parameters beside `api-version`; another one is an unknown request. @default - none for a route with versions, any for others */
  readonly query?: readonly string[];
}

/** Finds the handler of a request. Literal parts of a path match without regard to case, as in Azure. */
export class Router {
  readonly #routes: Route[] = [];

  /**
   * @param template path with `{name}` for one segment and `{name*}` for one or more
   */
  on(method: string, template: string, handler: Handler, options: RouteOptions = {}): void {
    const names: string[] = [];
    const pattern = template
      .split(/(\{[a-zA-Z]+\*?\})/)
      .map((part) => {
        if (!part.startsWith('{')) return part.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
        names.push(part.replace(/[{}*]/g, ''));
        return part.endsWith('*}') ? '(.+)' : '([^/]+)';
      })
      .join('');
    const host = (options.host ?? 'management.azure.com').replace(/\./g, '\\.').replace(/\*/g, '[^.]+');
    this.#routes.push({
      method,
      host: new RegExp(`^${host}$`, 'i'),
      path: new RegExp(`^${pattern}/?$`, 'i'),
      names,
      apiVersions: options.type && versionsOf(options.type),
      query:
        options.type || options.query
          ? new Set(['api-version', ...(options.query ?? [])].map((one) => one.toLowerCase()))
          : undefined,
      handler,
    });
  }

  /** The route of a request, or the reason that it has none. */
  find(request: AzureRequest): { handler: Handler; match: RouteMatch } | { unknown: string } {
    const versions = new Set<string>();
    for (const route of this.#routes) {
      if (route.method !== request.method || !route.host.test(request.host)) continue;
      const found = route.path.exec(request.path);
      if (!found) continue;
      const version = request.query.get('api-version') ?? 'none';
      if (route.apiVersions && !route.apiVersions.includes(version)) {
        for (const known of route.apiVersions) versions.add(known);
        continue;
      }
      const query = [...request.query.keys()].filter(
        (name) => route.query?.has(name.toLowerCase()) === false,
      );
      if (query.length > 0) return { unknown: `the query ${query.join(', ')} is not known here` };
      const parameters = Object.fromEntries(route.names.map((name, index) => [name, found[index + 1] ?? '']));
      return { handler: route.handler, match: { request, parameters } };
    }
    return {
      unknown:
        versions.size > 0
          ? `only api-version ${[...versions].join(', ')} is known here`
          : 'no such route is known here',
    };
  }
}
