declare module 'on-exit-leak-free' {
  interface OnExit {
    /** Calls `onExit(object)` at process exit unless the object was collected before. */
    register<T extends object>(object: T, onExit: (object: T, event: string) => void): void
    registerBeforeExit<T extends object>(object: T, onExit: (object: T, event: string) => void): void
    unregister(object: object): void
  }
  const onExit: OnExit
  export default onExit
}
