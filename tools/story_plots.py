"""Plots of the story corpus, in the markup of story_grammar.py.

A plot is a list of beats told in order; a beat is a list of wordings of which one is told. `slots`
are the words drawn for this plot alone, `moral` what the hero may learn from it.
"""

COLORS = "red blue green yellow white golden silver purple orange brown".split()

PLOTS = [
  {  # Something is lost and found again.
    "slots": {"thing": ["ball", "hat", "kite", "scarf", "bell", "button", "spoon", "boat", "book"],
              "color": COLORS,
              "spot": ["under the bed", "behind the door", "in the tall grass", "in the garden",
                       "under a big leaf", "near the old well", "behind the barn"]},
    "moral": ["a friend makes every search shorter", "it is good to ask for help",
              "looking with care is better than looking fast"],
    "beats": [
      ["{day}, {hero} could not find {his} {color} {thing}.",
       "{day}, {hero} saw that {his} {color} {thing} was gone."],
      ["{He} looked in the kitchen and {he} looked in the yard, but the {thing} was not there.",
       "{He} looked everywhere, but {he} could not see the {thing}.", "{hero} was very sad."],
      ["\"Why are you sad?\" asked {friend}, the {fkind}.",
       "Then {friend}, the {fkind}, came by. \"What is wrong?\" asked {friend}."],
      ["\"I lost my {color} {thing},\" said {hero}. \"[I want it back|I miss it so much|It is my "
       "favorite {thing}].\"",
       "\"My {thing} is gone,\" said {hero}, and {he} began to cry."],
      ["\"Do not [worry|cry],\" said {friend}. \"We will look for it together.\"",
       "\"I will help you,\" said {friend}. \"Two can look better than one.\""],
      ["They looked for a long time. [At last|Then], {friend} looked {spot}, and there was the "
       "{color} {thing}!",
       "They walked slowly and looked with care. \"Here it is!\" {friend} called. The {thing} "
       "was {spot}."],
      ["{hero} [hugged|thanked] {friend} and [laughed|jumped for joy]. \"Thank you!\" {he} said.",
       "\"You found it!\" said {hero}. {He} was so happy that {he} danced."],
    ]},
  {  # An animal in trouble is helped.
    "slots": {"small": ["bird", "butterfly", "bee", "lamb", "beetle", "kitten", "snail"],
              "trouble": ["was stuck in a thorn bush", "had fallen into a hole",
                          "was cold and wet from the rain", "had hurt its leg",
                          "could not find its way home"],
              "cure": ["a leaf and a drop of water", "a warm blanket", "a bit of bread",
                       "a soft bed of hay"]},
    "moral": ["a small kindness can be a big gift", "it is good to help those who are small",
              "kindness always comes back"],
    "beats": [
      ["{day}, {hero} heard a [tiny|soft|sad] sound. It came from a little {small}.",
       "{day}, {hero} went for a walk and met a little {small}."],
      ["The {small} {trouble}. \"[Please help me|Can you help me]?\" it [asked|said]."],
      ["{hero} was [a little afraid|not sure what to do], but {he} wanted to help.",
       "\"Poor little {small},\" said {hero}. \"I will help you.\""],
      ["{He} was very gentle. {He} picked up the {small} and carried it home.",
       "{He} called {friend}, and together they lifted the {small} with great care."],
      ["{He} gave the {small} {cure}, and soon it felt better.",
       "{His} {parent} brought {cure}. \"It only needs some rest,\" said {his} {parent}."],
      ["The next [day|morning], the {small} was [strong|well] again. \"Thank you, {hero},\" it "
       "said. \"I will never forget you.\"",
       "After [two|three] days, the {small} could [go home|play] again. {hero} was sad to say "
       "goodbye, but {he} was also very proud."],
    ]},
  {  # Learning something hard.
    "slots": {"skill": ["swim", "ride a bike", "whistle", "bake bread", "dance", "climb the tall "
                        "tree", "play the drum", "write a letter", "fly a kite", "skate"]},
    "moral": ["hard things become easy if you try and try again", "nobody is good at first",
              "it is fine to fail if you try again"],
    "beats": [
      ["{hero} wanted to learn to {skill}. [But it was very hard|All the others could do it].",
       "More than anything, {hero} wished to {skill}."],
      ["{day}, {he} tried it for the first time. It did not go well.",
       "{day}, {he} asked {his} {parent}, \"Can you teach me to {skill}?\" \"Of course,\" said "
       "{his} {parent}."],
      ["{He} tried once, and {he} tried twice, but {he} could not do it. \"I will never learn to "
       "{skill},\" {he} [said|cried].",
       "At first, everything went wrong. [{friend} laughed|Some of the others laughed], and {hero} "
       "felt sad."],
      ["\"Do not give up,\" said {friend}. \"I could not {skill} at first. [Try a little every "
       "day|You only need more time].\"",
       "{His} {parent} smiled and said, \"Nobody can {skill} on the first day. Try again "
       "tomorrow.\""],
      ["So {hero} tried again [the next day, and the day after that|every morning before "
       "breakfast|every evening until it was dark].",
       "{hero} tried again. {He} fell down, and {he} got up, and {he} tried again."],
      ["Then, [one day|at last], {he} could {skill}! \"Look at me!\" {he} shouted.",
       "[A week later|One month later], {hero} could {skill} better than anyone. {friend} "
       "clapped and cheered."],
    ]},
  {  # Sharing.
    "slots": {"treat": ["a big cake", "a bag of nuts", "a basket of apples", "a jar of honey",
                        "a box of cookies", "a bowl of berries"],
              "reason": ["had nothing to eat", "looked very hungry", "was sitting all alone"]},
    "moral": ["things taste better when you share them", "sharing makes two people happy",
              "a shared meal is the best meal"],
    "beats": [
      ["{day}, {his} {parent} gave {hero} {treat}. \"This is for you,\" said {his} {parent}.",
       "{day}, {hero} had {treat}. {He} wanted to eat it all."],
      ["{hero} sat down under a tree. {He} was about to take the first bite.",
       "{He} took it to the garden and sat down on the [soft grass|old bench]."],
      ["Then {he} saw {friend}, the {fkind}. {friend} {reason}.",
       "Just then, a {fkind} named {friend} came along the path. {friend} {reason}."],
      ["{hero} thought for a moment. If {he} shared, there would be less for {him}.",
       "\"Are you hungry?\" asked {hero}. \"Yes,\" said {friend}. \"I am very hungry.\""],
      ["\"Come and sit with me,\" said {hero}. \"We can share.\" {friend} smiled.",
       "{hero} gave half of it to {friend}. \"Thank you,\" said {friend}. \"You are very kind.\""],
      ["They ate together and told [funny stories|jokes|each other their secrets]. It was the "
       "best meal of the [year|week|summer].",
       "The next day, {friend} came back with {food}. \"Now I want to share with you,\" {fhe} "
       "said."],
    ]},
  {  # A strange noise at night.
    "slots": {"noise": ["tap, tap, tap", "a long low hoot", "a loud bump", "a scratching sound",
                        "a soft knock"],
              "cause": ["a branch in the wind", "a tiny mouse that looked for food",
                        "{friend}, who wanted to say good night", "the old clock in the hall",
                        "a cat that wanted to come in"]},
    "moral": ["things look scary until you know what they are", "a light makes fear small",
              "being brave does not mean having no fear"],
    "beats": [
      ["One [dark|stormy|windy] night, {hero} lay in bed and heard a noise. It was {noise}.",
       "One night, {hero} woke up. There was a noise at the window: {noise}."],
      ["{He} pulled the blanket over {his} head. \"[Is it a monster|Who is there]?\" {he} "
       "whispered.",
       "{hero} was afraid. {His} heart went fast."],
      ["But no one answered. The noise came again.",
       "{He} called {his} {parent}, but {his} {parent} was fast asleep."],
      ["\"I must be brave,\" said {hero}. {He} took a [small lamp|candle] and walked to the door.",
       "Then {hero} took a deep breath. {He} got up and walked slowly across the room."],
      ["{He} opened it and looked. It was only {cause}!",
       "{He} held up the light. There was no monster. It was only {cause}!"],
      ["{hero} began to laugh. \"[And I was so afraid|How silly I was]!\" {he} said.",
       "In the morning, {he} told {his} {parent} the whole story, and they laughed together."],
    ]},
  {  # A seed grows.
    "slots": {"seed": ["seed", "bean", "acorn", "bulb"],
              "grown": ["a tall sunflower", "a little apple tree", "a beautiful rose",
                        "a bean plant as high as the roof", "a big round pumpkin"]},
    "moral": ["good things take time", "you must be patient with things that grow",
              "small things can become great"],
    "beats": [
      ["{day}, {hero} found a [tiny|small|round] {seed} on the path.",
       "{day}, {his} {parent} gave {hero} a {seed}. \"Take good care of it,\" said {his} "
       "{parent}."],
      ["{He} put it into the earth and gave it some water. Then {he} sat down and waited.",
       "{hero} dug a hole in the garden and put the {seed} into it."],
      ["{He} waited all day, but nothing happened. \"It does not work,\" {he} said.",
       "[The next day|After three days], there was still nothing to see. {hero} was sad."],
      ["\"You must wait,\" said {friend}. \"A {seed} needs water, sun and time.\"",
       "\"Be patient,\" said {his} {parent}. \"It is asleep under the ground.\""],
      ["So {hero} gave it water every [day|morning]. The rain came, and the sun came.",
       "Every [day|evening], {he} gave it water and sang a little song to it."],
      ["Then, one morning, {he} saw a green leaf! It grew and grew until it was {grown}.",
       "In the summer, there was {grown} in the garden. Everyone came to see it."],
    ]},
  {  # A race.
    "slots": {"goal": ["the old bridge", "the top of the hill", "the big rock", "the lake",
                       "the windmill"],
              "prize": ["a golden cup", "a basket of fruit", "a red ribbon", "a honey cake"]},
    "moral": ["helping a friend is better than winning", "a good friend is the best prize",
              "it is more fun to finish together"],
    "beats": [
      ["{day}, there was a big race to {goal}. The prize was {prize}.",
       "{day}, everyone came to run a race. The first one at {goal} would win {prize}."],
      ["{hero} wanted to win. {He} had [practiced|trained] for many days.",
       "\"I am the fastest,\" said {friend}, the {fkind}. \"I will win.\""],
      ["\"One, two, three, go!\" [Everyone began to run|They all ran as fast as they could].",
       "The race began. {hero} ran [past the trees|over the field|down the path]."],
      ["Soon, {hero} was in front. Then {he} heard a cry. {friend} had fallen and could not get "
       "up.",
       "Halfway to {goal}, {hero} saw {friend}. {Fhe} sat on the ground and held {fhis} foot."],
      ["{hero} stopped. {He} could run on and win, or {he} could help.",
       "The others ran past, but {hero} stopped. \"Are you hurt?\" {he} asked."],
      ["{He} helped {friend} up, and they walked to {goal} together. They came in last, but "
       "everyone cheered.",
       "\"Lean on me,\" said {hero}. Slowly, they walked to {goal}, side by side, and "
       "everyone clapped."],
      ["\"You did not win {prize},\" said {friend}, \"but you are my hero.\"",
       "In the end, {hero} got {prize} too, because {he} had been so kind."],
    ]},
  {  # Rain, and a thing built together.
    "slots": {"built": ["a little boat", "a tree house", "a bridge over the stream", "a warm nest",
                        "a small hut", "a wagon"],
              "part": ["wood and rope", "sticks and mud", "old boxes", "stones and branches"]},
    "moral": ["many hands make the work light", "together we can do big things",
              "everyone can help in some way"],
    "beats": [
      ["{day}, {hero} had a plan. \"I will make {built},\" {he} said.",
       "{day}, {hero} said to {friend}, \"Let us make {built}!\""],
      ["{He} found {part} and began to work.",
       "They used {part}, and they worked all morning."],
      ["But [the wind was strong|it was too heavy|it began to rain], and everything fell down.",
       "But it was not easy. [It broke|It fell down] again and again."],
      ["\"[I cannot do this alone|This is too hard],\" said {hero}. {He} sat down and sighed.",
       "{hero} kicked a stone. {He} was [angry|tired and wet]."],
      ["\"Let me help,\" said {friend}. \"You hold this end, and I will hold that end.\"",
       "Then {his} {parent} came and said, \"Let us do it one step at a time.\""],
      ["They worked until the sun went down. At last, {built} was ready.",
       "They worked together the whole day, and in the evening there stood {built}. It was "
       "strong and beautiful."],
      ["They [sat in it|looked at it] and ate {food}. It was a good day.", ""],
    ]},
  {  # A mistake and an apology.
    "slots": {"broken": ["cup", "vase", "window", "lamp", "plate", "clock", "jar"],
              "act": ["played with a ball in the house", "ran through the kitchen",
                      "climbed on a chair", "danced too fast"]},
    "moral": ["it is always best to tell the truth", "saying sorry makes the heart light",
              "everyone makes mistakes"],
    "beats": [
      ["{day}, {hero} {act}. Crash! The [old|beautiful|blue] {broken} broke.",
       "{day}, {hero} {act}, and {his} {parent}'s favorite {broken} fell down and broke."],
      ["\"Oh no!\" said {hero}. \"What have I done?\"", "{hero} was afraid. {He} hid the pieces "
       "under the rug."],
      ["{He} did not want to tell {his} {parent}. {He} went outside, but {he} could not play.",
       "All day, {he} had a bad feeling in {his} belly. {He} could not eat {his} {food}."],
      ["\"You look sad,\" said {friend}. \"I broke the {broken},\" said {hero}. \"What should I "
       "do?\" \"Tell the truth,\" said {friend}.",
       "\"Did you see my {broken}?\" asked {his} {parent}. {hero} looked at the floor."],
      ["So {hero} went to {his} {parent} and said, \"I broke the {broken}. I am very sorry.\"",
       "\"It was me,\" said {hero} in a small voice. \"I am sorry.\""],
      ["{His} {parent} was not angry. \"Thank you for telling me the truth,\" said {his} "
       "{parent}. \"We can fix it together.\"",
       "{His} {parent} gave {him} a hug. \"A {broken} is only a {broken},\" said {his} {parent}. "
       "\"I am glad that you told me.\""],
    ]},
  {  # A new neighbour.
    "slots": {"fear": ["nobody would play with {fhim}", "everyone would laugh at {fhim}",
                       "{fhe} would be alone"],
              "game": ["hide and seek", "a game of tag", "a game with stones", "catch",
                       "pirates"]},
    "moral": ["a new face can become an old friend", "it is easy to make a friend with a smile",
              "you should always say hello first"],
    "beats": [
      ["{day}, a new family moved in next door. They had a {fkind} named {friend}.",
       "{day}, {hero} met somebody new. It was a {fkind} named {friend}."],
      ["{friend} did not say a word. {Fhe} was afraid that {fear}.",
       "{friend} stood alone at the fence and looked at the ground."],
      ["{hero} remembered how it feels to be alone. {He} walked to the fence and said, \"Hello!\"",
       "\"Hello,\" said {hero}. \"My name is {hero}. What is your name?\""],
      ["\"Hello,\" said {friend} very softly. \"I do not know anyone here.\"",
       "\"I am {friend},\" said the {fkind}. \"I am new here.\""],
      ["\"Now you know me,\" said {hero}. \"Do you want to play {game}?\"",
       "\"Then come with me,\" said {hero}. \"I will show you everything.\""],
      ["They played {game} until [dinner|the moon came out]. They laughed so much that it hurt.",
       "{hero} showed {friend} the best places, and then they played {game}."],
    ]},
  {  # A birthday gift.
    "slots": {"gift": ["a painted stone", "a song", "a crown of flowers", "a little wooden horse",
                       "a picture of the two of them", "a warm pair of socks"],
              "wish": ["a big shiny toy", "a silver ring", "a new bike", "a box of gold"]},
    "moral": ["the best gifts come from the heart", "a gift does not have to cost much",
              "time is the best gift of all"],
    "beats": [
      ["{day}, it was the birthday of {friend}, the {fkind}. {hero} wanted to give {fhim} a gift.",
       "{day}, {hero} said, \"Tomorrow is the birthday of {friend}! I need a gift.\""],
      ["But {hero} had no money. {He} could not buy {wish}.",
       "{He} went to the shop and saw {wish}, but it cost too much."],
      ["{hero} sat down and thought. What could {he} do?",
       "\"What shall I do?\" {he} asked {his} {parent}. \"Make something,\" said {his} {parent}."],
      ["Then {he} had an idea. {He} worked all evening and made {gift}.",
       "So {hero} went to work, and late at night {he} had made {gift}."],
      ["The next day, the others came with big boxes. {hero} felt shy. {His} gift was so small.",
       "At the party, there was {food} for everyone. {hero} held {his} gift behind {his} back."],
      ["But {friend} looked at it for a long time. \"You made this for me?\" asked {friend}. "
       "\"It is the best gift of all.\"",
       "{friend} opened it last, and {fhis} eyes were bright. \"I will keep it forever,\" {fhe} "
       "said."],
    ]},
  {  # Lost in the woods.
    "slots": {"lure": ["a blue butterfly", "a path of shiny stones", "a song from far away",
                       "a rabbit with a white tail", "the smell of berries"],
              "guide": ["an old owl", "a deer", "a kind old man", "the bright moon", "a firefly"]},
    "moral": ["it is wise to remember the way home", "you should always tell somebody where you go",
              "there is always a light if you look for it"],
    "beats": [
      ["{day}, {hero} followed {lure} into the forest.",
       "{day}, {hero} saw {lure} and went after it, deeper and deeper into the forest."],
      ["[Soon|After a while], {he} did not know where {he} was. All the trees looked the same.",
       "When {he} looked back, the path was gone."],
      ["It became dark and cold. \"I want to go home,\" said {hero}.",
       "\"Hello?\" {hero} called. \"Is anyone there?\" But only the wind answered."],
      ["Then {he} saw {guide} between the trees.", "Just then, there was {guide} above the path."],
      ["{hero} followed the light through the dark, step by step, and {he} was not afraid anymore.",
       "\"Follow the stream,\" a voice seemed to say. \"It flows to your home.\" So {hero} "
       "followed the stream."],
      ["At last, {he} saw the lamp in {his} window. {His} {parent} ran out and hugged {him}.",
       "Then {he} heard {friend} call {his} name. Everyone had been looking for {him}. "
       "\"There you are!\" said {friend}."],
    ]},
  {  # Market day.
    "slots": {"ware": ["eggs", "milk", "flowers", "potatoes", "wool", "carrots"],
              "trade": ["an old coat", "a lamp that did not work", "a sleepy donkey",
                        "a box with no key", "a broken flute"]},
    "moral": ["old things can be made new", "it is worth looking twice",
              "luck comes to those who work for it"],
    "beats": [
      ["{day}, {hero} went to the market to sell {ware}.",
       "{day}, {his} {parent} said, \"Please take the {ware} to the market.\""],
      ["The market was loud and full of people. [There were drums and flags|It smelled of "
       "{food}].",
       "On the way, {hero} met {friend}, the {fkind}, and they walked together."],
      ["An old woman wanted the {ware}, but she had no money. She gave {hero} {trade} instead.",
       "A man gave {hero} {trade} for the {ware}. {friend} laughed. \"That was not very "
       "clever,\" said {friend}."],
      ["{hero} took it home. \"What will you do with that?\" asked {his} {parent}.",
       "{hero} looked at it all the way home. {He} did not know what to do with it."],
      ["{He} cleaned it and cared for it, day after day.",
       "\"I think that it only needs some care,\" said {hero}, and {he} went to work."],
      ["After a week, it was as good as new, and everyone in town wanted to have it.",
       "And it turned out to be the best thing that {hero} ever had. Even {friend} said so."],
    ]},
  {  # Snow day.
    "slots": {"figure": ["a snow man", "a snow bear", "a castle of snow", "a long slide"],
              "part": ["two black stones", "an old hat", "a carrot", "a red scarf"]},
    "moral": ["you can make a new one when the old one melts", "joy is best when it is shared",
              "winter days can be warm with a friend"],
    "beats": [
      ["One winter day, {hero} looked out of the window. Everything was white!",
       "One morning in winter, the snow came down, soft and slow. {hero} ran outside."],
      ["{He} put on {his} coat and {his} boots and called {friend}.",
       "\"Come out!\" {hero} shouted to {friend}. \"There is snow everywhere!\""],
      ["They made {figure}. It was so big that they needed the whole morning.",
       "First they threw snow balls, and then they made {figure}."],
      ["\"Something is missing,\" said {friend}. {hero} ran home and came back with {part}.",
       "{hero} gave it {part}. \"Now it is perfect,\" {he} said."],
      ["But the next day, the sun was warm, and it began to melt. {hero} was sad.",
       "Then their hands were cold, and they went inside and ate {food} by the fire."],
      ["\"It will snow again,\" said {his} {parent}. \"And then you can make another one.\"",
       "\"Let us do it again tomorrow,\" said {friend}. \"Yes, let us!\" said {hero}."],
    ]},
  {  # The moon or a star.
    "slots": {"sky": ["the moon", "the evening star", "the rainbow", "the white cloud"],
              "tool": ["a long ladder", "a big net", "a tall tower of boxes", "a kite with a long "
                       "string"]},
    "moral": ["some things are beautiful because they are far away",
              "you do not need to own a thing to love it", "wishes can come true in another way"],
    "beats": [
      ["{hero} had a dream. {He} wanted to catch {sky}.",
       "{day}, {hero} looked up and saw {sky}. \"I want to have it,\" {he} said."],
      ["So {he} took {tool} and went up the hill.",
       "{He} made {tool}. \"With this, I can reach {sky},\" said {hero}."],
      ["{He} reached up as high as {he} could, but {sky} was too far away.",
       "{hero} tried the whole evening, but {he} could not reach it."],
      ["\"What are you doing?\" asked {friend}, the {fkind}. \"I want to catch {sky},\" said "
       "{hero}.",
       "{friend} watched {him} and said, \"Nobody can catch {sky}.\""],
      ["Then {friend} pointed at the lake. \"Look,\" said {friend}. There was {sky}, bright on "
       "the water.",
       "\"Sit down with me,\" said {friend}. \"We can look at it together.\" So they sat down in "
       "the grass."],
      ["It was so beautiful that {hero} did not want to catch it anymore.",
       "They watched it for a long time, and {hero} felt warm inside."],
    ]},
  {  # A boastful friend.
    "slots": {"boast": ["the strongest in the land", "the best singer of all",
                        "the best climber in the world", "the smartest of all"],
              "test": ["a big stone lay on the road", "a wagon was stuck in the mud",
                       "a kite was stuck in a high tree", "the gate would not open"]},
    "moral": ["big words do not move big stones", "it is better to do than to talk",
              "nobody is too small to help"],
    "beats": [
      ["{friend}, the {fkind}, liked to say, \"I am {boast}!\"",
       "{hero} knew a {fkind} named {friend}. \"I am {boast},\" said {friend} every day."],
      ["{hero} only smiled. {He} was small and did not talk much.",
       "\"And you are only a little {kind},\" {friend} said to {hero}."],
      ["{day}, {test}, and nobody could pass.", "{day}, {test}. Everyone came to look."],
      ["\"I will do it!\" said {friend}. {Fhe} pulled and pushed, but nothing happened.",
       "{friend} tried and tried, and {fhis} face became red, but it did not work."],
      ["Then {hero} had an idea. {He} took a long stick and asked everyone to help.",
       "\"Let us try it together,\" said {hero}. \"I have a rope.\""],
      ["\"One, two, three!\" they called, and it was done.",
       "With one big pull, it was done. Everyone cheered for {hero}."],
      ["{friend} said, \"I am sorry, {hero}. You were [right|smarter than me].\"", ""],
    ]},
]
