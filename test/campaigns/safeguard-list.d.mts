export const safeguards: Readonly<
  Record<
    string,
    {
      readonly what: string
      readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[]
      readonly tests: readonly string[]
      readonly only?: string
    }
  >
>
