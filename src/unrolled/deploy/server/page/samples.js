// Texts of our own, each with something that tells models apart.

export const SAMPLES = [
  ["Plain praise", "A quiet film, and a brave one. The acting is superb, the photography wonderful, and I was moved from the first scene to the last."],
  ["Distant “not”", "I would not call the story, whatever the posters in town may say, truly wonderful. One would scarcely describe the ending, even on a good day, as moving."],
  ["A turn", "It begins as a dull, clumsy comedy about a lighthouse and its keeper. The first half is painful. And yet, once the storm arrives, the picture turns into something splendid: I loved the ending."],
  ["Plot, then verdict", "A young clockmaker leaves a letter in a library by the river. Two years later a detective finds it, together with a map, a key and the photograph of a snowy harbour. It took three months to film. Overall, the movie was a mess."],
];
