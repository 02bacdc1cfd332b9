"""Where features come from: backbones, their weights, and how LoupeNet was made of its teacher."""
