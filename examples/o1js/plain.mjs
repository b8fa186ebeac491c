// A program that proves all day, as anybody writes it: nothing here knows of Rotor.
//
//     npm install o1js rotor-wasm
//     node --require rotor-wasm/register plain.mjs 100
import { Field, verify } from 'o1js';
import { square } from './square.mjs';

const { verificationKey } = await square.compile();
for (let i = 1; i <= Number(process.argv[2] ?? 3); ++i) {
  const { proof } = await square.square(Field(i * i), Field(i));
  console.log(`proof ${i}: ${(await verify(proof, verificationKey)) ? 'verified' : 'WRONG'}`);
}
