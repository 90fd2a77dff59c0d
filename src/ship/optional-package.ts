// Clients of targets are not among the dependencies: they are loaded when they are used.
import { errorMessage, LogboomError } from '../base/errors.ts'

/** Rejects with `ERR_UNSUPPORTED` if what `load` imports is not installed. */
export async function optionalPackage<T>(what: string, names: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const message = `${what} needs ${names}: npm install ${names.replace(/ and /g, ' ')} (${errorMessage(cause)})`
    throw new LogboomError('ERR_UNSUPPORTED', message, { cause })
  }
}

/** Imports a package by a name that bundlers do not look into: they would fail where it is not installed. */
export function importOptional<T>(name: string): Promise<T> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ name) as Promise<T>
}
