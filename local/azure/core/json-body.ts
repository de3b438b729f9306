import { isObject, type JsonObject, parseJson } from '../../../core/json.ts';
import { general } from '../refusals/general.ts';
import type { AzureRequest } from './http.ts';

/** The body of a request, empty if there is none. @throws ArmError 400 if it is not a JSON object */
export function jsonBody({ body }: AzureRequest): JsonObject {
  if (body.length === 0) return {};
  const parsed = parseJson(body.toString('utf8'));
  if (!isObject(parsed)) throw general.invalidRequestContent();
  return parsed;
}
