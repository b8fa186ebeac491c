// Names by pattern: `*` stands for any characters.
'use strict';

/** Returns a function that tells whether a name matches one of the patterns. */
function matcher(patterns) {
  const alternatives = patterns.map((pattern) => pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*'));
  const expression = new RegExp(`^(?:${alternatives.join('|')})$`);
  return patterns.length ? (name) => expression.test(name) : () => false;
}

module.exports = { matcher };
